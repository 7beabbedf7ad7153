"""What each institution delivered for each month, counted: the ground of all quality figures.

Whole numbers only, so that months add up to quarters and institutions to the whole warehouse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import TypeAlias

import duckdb

from synthetic.integrity.mandatory import always_expected, sometimes_expected
from synthetic.integrity.model import RuleResult, Severity

Connection: TypeAlias = duckdb.DuckDBPyConnection

IN_TIME_MINUTES = 10
"""A settlement made in real time should be here after this many minutes (SPEC §9.1)."""
CUT_OFF_DAYS = 5
"""Records of a month that arrive later than this many days after its end missed the cut-off."""

REAL_TIME = (
    "left(med_type, 2) IN ('11','12','13','14','41','21','22','23','24','25','26','27','28','52')"
    " AND coalesce(setl_type, '2') = '2' AND crte_time IS NOT NULL"
)
"""Settlements that reach the platform while they are made, and say when they did."""


@dataclass(frozen=True)
class _Source:
    """How a record finds the month of its settlement, and whose record it is."""

    key: str
    join: str
    month: str
    institution: str = "t.fixmedins_code"


_SETTLED = "LEFT JOIN setl_month AS k ON k.setl_id = t.setl_id"
_SOURCES: Mapping[str, _Source] = {
    "setl_d": _Source("setl_id", "", "date_trunc('month', t.setl_time)"),
    "fee_list_d": _Source(
        "bkkp_sn", _SETTLED, "coalesce(k.month, date_trunc('month', t.fee_ocur_time))"
    ),
    "mdtrt_d": _Source(
        "mdtrt_id",
        "LEFT JOIN mdtrt_month AS k ON k.mdtrt_id = t.mdtrt_id",
        "coalesce(k.month, date_trunc('month', t.begntime))",
    ),
    "setl_diag_list_d": _Source(
        "diag_info_id",
        "JOIN mdtrt_month AS k ON k.mdtrt_id = t.mdtrt_id",
        "k.month",
        "k.institution",
    ),
    "drg_rslt_d": _Source("setl_id", _SETTLED.removeprefix("LEFT "), "k.month", "k.institution"),
}


@dataclass
class Counts:
    """What was delivered, how much of it is wrong, missing or late; amounts in fen."""

    records: int = 0
    violating: int = 0
    expected: int = 0
    missing: int = 0
    overdue: int = 0
    urgent: int = 0
    in_time: int = 0
    booked: int = 0
    split: int = 0

    def add(self, other: Counts) -> None:
        """Count what the other counted, too."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class Ledger:
    """Counts by month and institution, and the blocking rules that failed by month."""

    by_institution: defaultdict[tuple[str, str], Counts] = field(
        default_factory=lambda: defaultdict(Counts)
    )
    blocked: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def of_month(self, month: str) -> Counts:
        """All institutions of a month together."""
        whole = Counts()
        for (label, _), counts in self.by_institution.items():
            if label == month:
                whole.add(counts)
        return whole


def count(
    connection: Connection, warehouse: Path, results: Iterable[RuleResult], rows: Mapping[str, int]
) -> Ledger:
    """Count a warehouse whose rules were run: `failing` holds the records that break one."""
    _month_tables(connection)
    found = Ledger()
    blocking = {result.rule.id for result in results if result.rule.severity is Severity.BLOCK}
    for record in _SOURCES:
        if rows.get(record):
            _count_records(connection, warehouse, record, found)
            _count_failing(connection, record, found, blocking)
    _count_arrivals(connection, found)
    if rows.get("setl_fund_d"):
        _count_amounts(connection, found)
    known = ", ".join(f"'{name}'" for name in _SOURCES)
    static = connection.execute(
        f"SELECT DISTINCT rule FROM failing WHERE record NOT IN ({known})"
    ).fetchall()
    # A failing record without a month (a catalogue, an enrolment) concerns every month.
    found.blocked[""] = {rule for (rule,) in static if rule in blocking}
    return found


def _month_tables(connection: Connection) -> None:
    """Month and institution of each settlement and encounter; few institutions, so by number."""
    connection.execute(
        "CREATE TYPE institution AS ENUM (SELECT DISTINCT fixmedins_code FROM setl_d)"
    )
    connection.execute(
        "CREATE TEMP TABLE setl_month AS SELECT setl_id, mdtrt_id,"
        " date_trunc('month', setl_time) AS month, fixmedins_code::institution AS institution"
        " FROM setl_d"
    )
    connection.execute(
        "CREATE TEMP TABLE mdtrt_month AS SELECT mdtrt_id, max(month) AS month,"
        " max(institution) AS institution FROM setl_month GROUP BY mdtrt_id"
    )


def _count_records(connection: Connection, warehouse: Path, record: str, found: Ledger) -> None:
    source = _SOURCES[record]
    always, sometimes = always_expected(record), sometimes_expected(record)
    nullable = [name for name in always if _has_nulls(connection, warehouse, record, name)]
    missing = [f"count_if(t.{name} IS NULL)" for name in nullable]
    missing += [f"count_if({x.condition} AND t.{x.column} IS NULL)" for x in sometimes]
    expected = [f"{len(always)} * count(*)", *(f"count_if({x.condition})" for x in sometimes)]
    ends = f"{source.month} + INTERVAL 1 MONTH + INTERVAL {CUT_OFF_DAYS} DAY"
    rows = connection.execute(
        f"SELECT {source.month}, {source.institution}, count(*), {' + '.join(expected)},"
        f" {' + '.join(missing) or '0'}, count(*) FILTER (t.crte_time > {ends})"
        f" FROM {record} AS t {source.join} GROUP BY 1, 2"
    ).fetchall()
    for month, who, records, wanted, absent, overdue in rows:
        counts = Counts(records=records, expected=wanted, missing=absent, overdue=overdue)
        found.by_institution[_label(month), str(who)].add(counts)


def _count_failing(connection: Connection, record: str, found: Ledger, blocking: set[str]) -> None:
    source = _SOURCES[record]
    joined = (
        f"FROM failing AS f JOIN {record} AS t ON t.{source.key} = f.token {source.join}"
        f" WHERE f.record = '{record}' GROUP BY ALL"
    )
    broken = connection.execute(f"SELECT DISTINCT {source.month}, f.rule {joined}").fetchall()
    for month, rule in broken:
        if rule in blocking:
            found.blocked[_label(month)].add(rule)
    rows = connection.execute(
        f"SELECT {source.month}, {source.institution}, count(DISTINCT f.token) {joined}"
    ).fetchall()
    for month, who, violating in rows:
        found.by_institution[_label(month), str(who)].add(Counts(violating=violating))


def _count_arrivals(connection: Connection, found: Ledger) -> None:
    late = f"date_diff('second', setl_time, crte_time) > {60 * IN_TIME_MINUTES}"
    rows = connection.execute(
        f"SELECT date_trunc('month', setl_time), fixmedins_code, count(*), count_if(NOT ({late}))"
        f" FROM setl_d WHERE {REAL_TIME} GROUP BY 1, 2"
    ).fetchall()
    for month, who, urgent, in_time in rows:
        found.by_institution[_label(month), str(who)].add(Counts(urgent=urgent, in_time=in_time))


def _count_amounts(connection: Connection, found: Ledger) -> None:
    rows = connection.execute(
        "WITH split AS (SELECT setl_id, sum(fund_payamt) AS fund FROM setl_fund_d"
        " WHERE fund_pay_type <> '310200' GROUP BY setl_id)"
        " SELECT date_trunc('month', s.setl_time), s.fixmedins_code,"
        " coalesce(sum(s.fund_pay_sumamt) * 100, 0)::HUGEINT,"
        " coalesce(sum(f.fund) * 100, 0)::HUGEINT"
        " FROM setl_d AS s LEFT JOIN split AS f USING (setl_id) GROUP BY 1, 2"
    ).fetchall()
    for month, who, booked, split in rows:
        counts = Counts(booked=int(booked), split=int(split))
        found.by_institution[_label(month), str(who)].add(counts)


def _has_nulls(connection: Connection, warehouse: Path, record: str, column: str) -> bool:
    """Whether the file may hold nulls there, from its footer: most columns need no scan."""
    row = connection.execute(
        "SELECT count_if(stats_null_count IS NULL), sum(stats_null_count) "
        "FROM parquet_metadata(?) WHERE path_in_schema = ?",
        [str(warehouse / f"{record}.parquet"), column],
    ).fetchone()
    return row is None or bool(row[0]) or bool(row[1])


def _label(month: date | None) -> str:
    return "" if month is None else f"{month:%Y-%m}"
