"""What each institution delivered for each month, counted: the ground of all quality figures.

Whole numbers only, so that months add up to quarters and institutions to the whole warehouse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path

from synthetic.integrity.mandatory import always_expected, sometimes_expected
from synthetic.integrity.model import RuleResult, Severity
from synthetic.integrity.placing import DELIVERED, Connection, place_failures, place_settlements

_DELIVERED = ", ".join(f"'{name}'" for name in DELIVERED)

IN_TIME_MINUTES = 10
"""A settlement made in real time should be here after this many minutes (SPEC §9.1)."""
CUT_OFF_DAYS = 5
"""Records of a month that arrive later than this many days after its end missed the cut-off."""

REAL_TIME = (
    "left(med_type, 2) IN ('11','12','13','14','41','21','22','23','24','25','26','27','28','52')"
    " AND coalesce(setl_type, '2') = '2' AND crte_time IS NOT NULL"
)
"""Settlements that reach the platform while they are made, and say when they did."""


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
    """Count a warehouse whose rules were run: `failing` holds the records that break one.

    Leaves `delivered` (what arrived, by table, month and feeder) and `broken` on the connection.
    """
    place_settlements(connection)
    place_failures(connection)
    connection.execute(
        "CREATE TEMP TABLE delivered (record VARCHAR, month TIMESTAMP, feeder VARCHAR,"
        " records BIGINT, expected BIGINT, missing BIGINT, overdue BIGINT)"
    )
    for record in DELIVERED:
        if rows.get(record):
            _count_records(connection, warehouse, record)
    found = Ledger()
    _add_up(connection, found)
    _count_blocked(connection, found, results)
    _count_arrivals(connection, found)
    if rows.get("setl_fund_d"):
        _count_amounts(connection, found)
    return found


def _count_records(connection: Connection, warehouse: Path, record: str) -> None:
    source = DELIVERED[record]
    always, sometimes = always_expected(record), sometimes_expected(record)
    nullable = [name for name in always if _has_nulls(connection, warehouse, record, name)]
    missing = [f"count_if(t.{name} IS NULL)" for name in nullable]
    missing += [f"count_if({x.condition} AND t.{x.column} IS NULL)" for x in sometimes]
    expected = [f"{len(always)} * count(*)", *(f"count_if({x.condition})" for x in sometimes)]
    ends = f"{source.month} + INTERVAL 1 MONTH + INTERVAL {CUT_OFF_DAYS} DAY"
    connection.execute(
        f"INSERT INTO delivered SELECT '{record}', {source.month}, {source.feeder}, count(*),"
        f" {' + '.join(expected)}, {' + '.join(missing) or '0'},"
        f" count(*) FILTER (t.crte_time > {ends}) FROM {record} AS t {source.join} GROUP BY 2, 3"
    )


def _add_up(connection: Connection, found: Ledger) -> None:
    """All tables of a month and institution together."""
    rows = connection.execute(
        "SELECT month, feeder, sum(records), sum(expected), sum(missing), sum(overdue)"
        " FROM delivered GROUP BY 1, 2"
    ).fetchall()
    for month, who, *numbers in rows:
        records, expected, missing, overdue = map(int, numbers)
        counts = Counts(records=records, expected=expected, missing=missing, overdue=overdue)
        found.by_institution[month_label(month), str(who)].add(counts)
    for month, who, violating in connection.execute(
        "SELECT month, feeder, count(*) FROM (SELECT DISTINCT record, token, month, feeder"
        f" FROM broken WHERE record IN ({_DELIVERED})) GROUP BY 1, 2"
    ).fetchall():
        found.by_institution[month_label(month), str(who)].add(Counts(violating=violating))


def _count_blocked(connection: Connection, found: Ledger, results: Iterable[RuleResult]) -> None:
    blocking = {result.rule.id for result in results if result.rule.severity is Severity.BLOCK}
    for month, rule in connection.execute(
        f"SELECT DISTINCT month, rule FROM broken WHERE record IN ({_DELIVERED})"
    ).fetchall():
        if rule in blocking:
            found.blocked[month_label(month)].add(rule)
    static = connection.execute(
        f"SELECT DISTINCT rule FROM failing WHERE record NOT IN ({_DELIVERED})"
    ).fetchall()
    # A failing record without a month (a catalogue, an enrolment) concerns every month.
    found.blocked[""] = {rule for (rule,) in static if rule in blocking}


def _count_arrivals(connection: Connection, found: Ledger) -> None:
    late = f"date_diff('second', setl_time, crte_time) > {60 * IN_TIME_MINUTES}"
    rows = connection.execute(
        f"SELECT date_trunc('month', setl_time), fixmedins_code, count(*), count_if(NOT ({late}))"
        f" FROM setl_d WHERE {REAL_TIME} GROUP BY 1, 2"
    ).fetchall()
    for month, who, urgent, in_time in rows:
        found.by_institution[month_label(month), str(who)].add(
            Counts(urgent=urgent, in_time=in_time)
        )


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
        found.by_institution[month_label(month), str(who)].add(counts)


def _has_nulls(connection: Connection, warehouse: Path, record: str, column: str) -> bool:
    """Whether the file may hold nulls there, from its footer: most columns need no scan."""
    row = connection.execute(
        "SELECT count_if(stats_null_count IS NULL), sum(stats_null_count) "
        "FROM parquet_metadata(?) WHERE path_in_schema = ?",
        [str(warehouse / f"{record}.parquet"), column],
    ).fetchone()
    return row is None or bool(row[0]) or bool(row[1])


def month_label(month: date | None) -> str:
    """A month as periods name it; nothing for what has none."""
    return "" if month is None else f"{month:%Y-%m}"
