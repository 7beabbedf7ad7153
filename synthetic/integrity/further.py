"""Figures beside the four, per month: duplicates, valid, mapped and comparable codes, ungrouped
stays, days on time. What the office audited and mended stands among them (`told`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from synthetic.integrity.arriving import LEAST
from synthetic.integrity.codes import invalid_codes_sql
from synthetic.integrity.counting import IN_TIME_MINUTES, month_label
from synthetic.integrity.placing import DELIVERED, PLACES, Connection
from synthetic.integrity.told import AUDITED, Told


@dataclass(frozen=True)
class Further:
    """A share of one month, and what it may be at most or must be at least."""

    name: str
    period: str
    counted: int
    of: int
    limit: float
    least: bool

    @property
    def value(self) -> float:
        """The share."""
        return self.counted / self.of

    @property
    def failed(self) -> bool:
        """Whether it misses its limit."""
        return self.value < self.limit if self.least else self.value > self.limit

    def as_dict(self) -> dict[str, object]:
        """The figure for machines."""
        return {
            "name": self.name,
            "period": self.period,
            "counted": self.counted,
            "of": self.of,
            "value": round(self.value, 6),
            "limit": self.limit,
            "failed": self.failed,
        }


LIMITS: Final[Mapping[str, tuple[float, bool]]] = {
    "duplicates": (0.0005, False),
    "valid_codes": (0.99, True),
    "mapped_diagnoses": (0.985, True),
    "mapped_drugs": (0.985, True),
    "ungrouped": (0.072, False),
    "comparable_codes": (0.95, True),
    "days_on_time": (0.95, True),
    AUDITED: (0.995, True),
}
"""The limit of each figure, and whether it is a least."""

_DUPLICATES = """
SELECT date_trunc('month', setl_time) AS month, fixmedins_code AS institution,
  count(*) - count(DISTINCT (medins_setl_id, refd_setl_flag)) AS counted, count(*) AS whole
FROM setl_d WHERE medins_setl_id IS NOT NULL GROUP BY 1, 2"""
_DIAGNOSES = """
SELECT k.month, k.institution,
  count_if(regexp_matches(d.diag_code, '^[A-Z]\\d{2}(\\.|$)')) AS counted, count(*) AS whole
FROM setl_diag_list_d AS d JOIN mdtrt_month AS k ON k.mdtrt_id = d.mdtrt_id
WHERE d.diag_type = '1' GROUP BY 1, 2"""
_DRUGS = """
SELECT coalesce(k.month, date_trunc('month', f.fee_ocur_time)) AS month,
  f.fixmedins_code AS institution, count(c.med_list_codg) AS counted, count(*) AS whole
FROM fee_list_d AS f LEFT JOIN setl_month AS k ON k.setl_id = f.setl_id
  LEFT JOIN drug_cat_b AS c ON c.med_list_codg = f.med_list_codg
WHERE f.list_type = '101' GROUP BY 1, 2"""
_UNGROUPED = """
SELECT k.month, k.institution, count_if(g.drg_code = '0000' OR g.drg_code LIKE '_QY') AS counted,
  count(*) AS whole
FROM drg_rslt_d AS g JOIN setl_month AS k ON k.setl_id = g.setl_id GROUP BY 1, 2"""
_QUERIES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "duplicates": (("setl_d",), _DUPLICATES),
    "mapped_diagnoses": (("setl_diag_list_d",), _DIAGNOSES),
    "mapped_drugs": (("fee_list_d", "drug_cat_b"), _DRUGS),
    "ungrouped": (("drg_rslt_d",), _UNGROUPED),
}
# A national code means what it is charged as: kind of list, fee category, class. An institution
# means by it what it sends most; what it leaves out is no meaning and is completeness's to tell.
_COMPARED = """
CREATE TEMP TABLE compared AS
WITH sent AS (
  SELECT coalesce(k.month, date_trunc('month', f.fee_ocur_time)) AS month,
    f.fixmedins_code AS institution, f.med_list_codg AS code,
    concat_ws('/', f.list_type, f.med_chrgitm_type, f.chrgitm_lv) AS meaning, count(*) AS n
  FROM fee_list_d AS f LEFT JOIN setl_month AS k ON k.setl_id = f.setl_id
  WHERE f.med_list_codg IS NOT NULL AND f.list_type IS NOT NULL
    AND f.med_chrgitm_type IS NOT NULL AND f.chrgitm_lv IS NOT NULL
  GROUP BY ALL),
mostly AS (SELECT month, institution, code, arg_max(meaning, (n, meaning)) AS meaning
  FROM sent GROUP BY ALL),
shared AS (SELECT month, code, count(DISTINCT meaning) = 1 AS same
  FROM mostly GROUP BY ALL HAVING count(*) > 1)
SELECT m.month, m.institution, m.code, s.same
FROM mostly AS m JOIN shared AS s USING (month, code)"""


def measure_further(
    connection: Connection, rows: Mapping[str, int], told: Iterable[Told] = ()
) -> None:
    """Make the table `further`: each figure by month and feeder; feeder '' is all of them."""
    connection.execute(
        "CREATE TEMP TABLE counted_by (name VARCHAR, month TIMESTAMP, institution VARCHAR,"
        " counted HUGEINT, whole HUGEINT)"
    )
    for name, sql in _additive(rows):
        connection.execute(
            f"INSERT INTO counted_by SELECT '{name}', month, institution, counted, whole"
            f" FROM ({sql})"
        )
    connection.execute(
        "CREATE TEMP TABLE further AS"
        " SELECT name, month, '' AS feeder, sum(counted) AS counted, sum(whole) AS whole"
        " FROM counted_by GROUP BY 1, 2 UNION ALL"
        " SELECT c.name, c.month, o.feeder, sum(c.counted), sum(c.whole) FROM counted_by AS c"
        " JOIN feeder_of AS o ON o.institution = c.institution GROUP BY 1, 2, 3"
    )
    if rows.get("fee_list_d"):
        _compare(connection)
    connection.execute(
        "INSERT INTO further SELECT 'days_on_time', date_trunc('month', day), feeder,"
        f" count_if(minutes <= {IN_TIME_MINUTES}), count(*) FROM arrival_day"
        f" WHERE settlements >= {LEAST} GROUP BY 2, 3"
    )
    _add_told(connection, told)


def read_further(connection: Connection) -> tuple[Further, ...]:
    """The figures of every month for all feeders together, as far as they have a limit."""
    rows = connection.execute(
        "SELECT name, month, sum(counted), sum(whole) AS of FROM further"
        " WHERE feeder = '' AND month IS NOT NULL GROUP BY 1, 2 HAVING of > 0 ORDER BY 1, 2"
    ).fetchall()
    return tuple(
        Further(name, month_label(month), int(counted), int(whole), *LIMITS[name])
        for name, month, counted, whole in rows
        if name in LIMITS
    )


def _additive(rows: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Figures whose counts add up over institutions, as far as there are records for them."""
    yield "valid_codes", _valid_codes(rows)
    for name, (needs, sql) in _QUERIES.items():
        if all(rows.get(table) for table in needs):
            yield name, sql


def _valid_codes(rows: Mapping[str, int]) -> str:
    """Records without a value outside its code list, all delivered tables together."""
    parts = [
        f"SELECT p.month, p.feeder AS institution, count_if(NOT x.wrong) AS counted,"
        f" count(*) AS whole FROM"
        f" (SELECT {PLACES[table].key} AS token, coalesce({invalid_codes_sql(table)}, false)"
        f" AS wrong FROM {table}) AS x JOIN ({PLACES[table].relation(table)}) AS p"
        " ON p.token = x.token GROUP BY 1, 2"
        for table in DELIVERED
        if rows.get(table)
    ]
    return " UNION ALL ".join(parts)


def _compare(connection: Connection) -> None:
    """Codes of each feeder, and of all, that mean the same to everyone who sends them."""
    connection.execute(_COMPARED)
    counts = "count(DISTINCT c.code) FILTER (c.same), count(DISTINCT c.code)"
    connection.execute(
        f"INSERT INTO further SELECT 'comparable_codes', c.month, '', {counts}"
        f" FROM compared AS c GROUP BY 2 UNION ALL"
        f" SELECT 'comparable_codes', c.month, o.feeder, {counts} FROM compared AS c"
        " JOIN feeder_of AS o ON o.institution = c.institution GROUP BY 2, 3"
    )


def _add_told(connection: Connection, told: Iterable[Told]) -> None:
    for one in told:
        for feeder in ("", one.city):
            connection.execute(
                "INSERT INTO further VALUES (?, strptime(?, '%Y-%m'), ?, ?, ?)",
                [one.name, one.month, feeder, one.counted, one.of],
            )
