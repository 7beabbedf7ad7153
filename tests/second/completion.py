"""S02's completion factors, second implementation: pandas over the settlements, quarter by quarter.

What a factor is made of is published-grade: amounts to four significant digits, and none that fewer
than eleven persons make up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

DELAYS, LEAST, PERSONS, ENOUGH = 13, 24, 11, 500

_SETTLED = """
    SELECT psn_no, left(insu_admdvs, 4) || '00' AS city, insu_admdvs AS county,
           if(insutype IN ('310', '340'), 'employee', 'resident') AS insutype2,
           CASE WHEN med_type[1:1] = '5' OR med_type IN ('2106', '2107') THEN 'MAT'
                WHEN med_type[1:1] = '2' THEN 'IP' WHEN med_type[1:2] = '41' THEN 'RX'
                WHEN med_type[1:2] = '14' THEN 'OPSP' ELSE 'OP' END AS benefit5,
           year(begndate) || 'Q' || quarter(begndate) AS quarter,
           date_diff('month', begndate, setl_time::DATE) AS delay, medfee_sumamt AS amount
    FROM '{file}'
    WHERE date_trunc('month', begndate) >= (SELECT date_trunc('month', min(setl_time))
                                            FROM '{file}')"""


def settled(folder: Path) -> pd.DataFrame:
    """Every settlement by the quarter its care began in, with the months until it was settled."""
    with duckdb.connect() as con:
        frame: pd.DataFrame = con.execute(_SETTLED.format(file=folder / "setl_d.parquet")).df()
    return frame[frame.delay < DELAYS]


Rows = Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]


def rows(frame: pd.DataFrame) -> Rows:
    """By quarter what is settled of one cell after each number of months."""
    return {str(quarter): _row(part) for quarter, part in frame.groupby("quarter")}


def shares(found: Rows, persons: Mapping[str, int], now: str) -> list[float] | None:
    """The shares of one cell by month of delay, as known at the end of a quarter.

    `persons` are the cell's published persons by quarter; None where a factor is not known.
    """
    quarters = sorted({*found, now})
    shares = [1.0]
    for delay in reversed(range(DELAYS - 1)):
        months = -(-(delay + 1) // 3)  # whole quarters until so many months have passed
        used = [
            quarter
            for at, quarter in enumerate(quarters)
            if at + months <= quarters.index(now) and persons.get(quarter, 0) >= ENOUGH
        ]
        before = sum(found[quarter][: delay + 1].sum() for quarter in used)
        after = sum(found[quarter][: delay + 2].sum() for quarter in used)
        if 3 * len(used) < LEAST or before <= 0 or after <= 0:
            return None
        shares.append(shares[-1] * before / after)
    return shares[::-1]


def _row(frame: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What is settled after each number of months."""
    amounts = np.zeros(DELAYS)
    for delay, part in frame.groupby("delay"):
        if delay == 0 or part.psn_no.nunique() >= PERSONS:
            amounts[delay] = _rounded(float(part.amount.sum()))
    return amounts


def _rounded(amount: float) -> float:
    return float(f"{amount:.3e}")
