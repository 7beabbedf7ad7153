"""Figures beside the four, per month: duplicates, valid and mapped codes, ungrouped stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from synthetic.integrity.codes import invalid_codes_sql
from synthetic.integrity.counting import month_label
from synthetic.integrity.placing import DELIVERED, PLACES, Connection


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
}
"""The limit of each figure, and whether it is a least."""

_DUPLICATES = """
SELECT date_trunc('month', setl_time) AS month,
  count(*) - count(DISTINCT (fixmedins_code, medins_setl_id, refd_setl_flag)) AS counted,
  count(*) AS whole
FROM setl_d WHERE medins_setl_id IS NOT NULL GROUP BY 1"""
_DIAGNOSES = """
SELECT k.month, count_if(regexp_matches(d.diag_code, '^[A-Z]\\d{2}(\\.|$)')) AS counted,
  count(*) AS whole
FROM setl_diag_list_d AS d JOIN mdtrt_month AS k ON k.mdtrt_id = d.mdtrt_id
WHERE d.diag_type = '1' GROUP BY 1"""
_DRUGS = """
SELECT coalesce(k.month, date_trunc('month', f.fee_ocur_time)) AS month,
  count(c.med_list_codg) AS counted, count(*) AS whole
FROM fee_list_d AS f LEFT JOIN setl_month AS k ON k.setl_id = f.setl_id
  LEFT JOIN drug_cat_b AS c ON c.med_list_codg = f.med_list_codg
WHERE f.list_type = '101' GROUP BY 1"""
_UNGROUPED = """
SELECT k.month, count_if(g.drg_code = '0000' OR g.drg_code LIKE '_QY') AS counted,
  count(*) AS whole
FROM drg_rslt_d AS g JOIN setl_month AS k ON k.setl_id = g.setl_id GROUP BY 1"""
_QUERIES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "duplicates": (("setl_d",), _DUPLICATES),
    "mapped_diagnoses": (("setl_diag_list_d",), _DIAGNOSES),
    "mapped_drugs": (("fee_list_d", "drug_cat_b"), _DRUGS),
    "ungrouped": (("drg_rslt_d",), _UNGROUPED),
}


def read_further(connection: Connection, rows: Mapping[str, int]) -> tuple[Further, ...]:
    """The further figures of every month, as far as there are records for them."""
    found = [*_valid_codes(connection, rows)]
    for name, (needs, sql) in _QUERIES.items():
        if all(rows.get(table) for table in needs):
            found += _made(connection, name, sql)
    return tuple(sorted(found, key=lambda one: (one.name, one.period)))


def _made(connection: Connection, name: str, sql: str) -> Iterator[Further]:
    limit, least = LIMITS[name]
    for month, counted, whole in connection.execute(sql).fetchall():
        if whole:
            yield Further(name, month_label(month), int(counted), int(whole), limit, least)


def _valid_codes(connection: Connection, rows: Mapping[str, int]) -> Iterator[Further]:
    """Records without a value outside its code list, all delivered tables together."""
    parts = [
        f"SELECT p.month, count_if(NOT x.wrong) AS counted, count(*) AS whole FROM"
        f" (SELECT {PLACES[table].key} AS token, coalesce({invalid_codes_sql(table)}, false)"
        f" AS wrong FROM {table}) AS x JOIN ({PLACES[table].relation(table)}) AS p"
        " ON p.token = x.token GROUP BY 1"
        for table in DELIVERED
        if rows.get(table)
    ]
    whole = " UNION ALL ".join(parts)
    yield from _made(
        connection,
        "valid_codes",
        f"SELECT month, sum(counted), sum(whole) FROM ({whole}) GROUP BY 1",
    )
