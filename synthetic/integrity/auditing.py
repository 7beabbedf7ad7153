"""What a second coder's sheet is compared with: the discharges of a quarter as they were delivered.

Keys of encounters are in it, so it stays inside the office.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from synthetic.integrity.engine import MEMORY, opened, row_counts

FIELDS: Final = ("dscg_maindiag_code", "oprn_oprt_code", "dscg_way", "medfee_sumamt")
"""What is coded a second time from the medical record and the invoice, blind to the first."""

_SQL = """
SELECT m.mdtrt_id, strftime(s.settled, '%Y-%m'), concat(left(s.region, 4), '00'),
  coalesce(m.dscg_maindiag_code, ''), coalesce(m.oprn_oprt_code, ''), coalesce(m.dscg_way, ''),
  s.fee
FROM mdtrt_d AS m JOIN (
  SELECT mdtrt_id, max(setl_time) AS settled, coalesce(max(fix_blng_admdvs), '') AS region,
    sum(medfee_sumamt) AS fee
  FROM setl_d GROUP BY mdtrt_id HAVING fee > 0) AS s ON s.mdtrt_id = m.mdtrt_id
WHERE left(m.med_type, 2) IN ('21', '22', '23', '24', '25', '26', '27', '28', '52')
  AND coalesce(m.inhosp_stas, '0') = '0'
  AND concat(year(s.settled), 'Q', quarter(s.settled)) = ?
ORDER BY 1"""


@dataclass(frozen=True)
class Discharge:
    """A stay as it was delivered: month of settlement, city of the hospital, the fields audited."""

    id: str
    month: str
    city: str
    codes: tuple[str, str, str]
    fee: Decimal

    @property
    def values(self) -> tuple[str, ...]:
        """The audited fields in the order of `FIELDS`, spelt in one way."""
        return tuple(spelt(value) for value in (*self.codes, str(self.fee)))


def spelt(value: str) -> str:
    """A code or amount without blanks and in capitals; amounts to the cent."""
    text = value.strip().upper()
    try:
        return str(Decimal(text).quantize(Decimal("0.01"))) if "." in text else text
    except ArithmeticError:  # a code with a dot in it
        return text


def discharges(
    warehouse: Path, quarter: str, memory: str = MEMORY, threads: int = 2
) -> tuple[Discharge, ...]:
    """Every settled stay of a quarter, in the order of its key."""
    with opened(warehouse, memory, threads) as connection:
        rows = row_counts(connection)
        if not (rows.get("mdtrt_d") and rows.get("setl_d")):
            return ()
        found = connection.execute(_SQL, [quarter]).fetchall()
    return tuple(
        Discharge(key, month, city, tuple(codes), fee) for key, month, city, *codes, fee in found
    )
