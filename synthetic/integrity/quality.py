"""The four data-quality figures of a period: completeness, consistency, timeliness, accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import duckdb

from synthetic.integrity.engine import MEMORY, opened, row_counts, run_rules
from synthetic.integrity.mandatory import always_expected, sometimes_expected
from synthetic.integrity.model import RuleResult, Severity

Connection: TypeAlias = duckdb.DuckDBPyConnection

# How a record finds the month it belongs to: the month of its settlement.
_MONTH_OF: Mapping[str, tuple[str, str, str]] = {
    # record: (key, join, month)
    "setl_d": ("setl_id", "", "date_trunc('month', t.setl_time)"),
    "fee_list_d": (
        "bkkp_sn",
        "LEFT JOIN setl_month AS k ON k.setl_id = t.setl_id",
        "coalesce(k.month, date_trunc('month', t.fee_ocur_time))",
    ),
    "mdtrt_d": (
        "mdtrt_id",
        "LEFT JOIN mdtrt_month AS k ON k.mdtrt_id = t.mdtrt_id",
        "coalesce(k.month, date_trunc('month', t.begntime))",
    ),
    "setl_diag_list_d": (
        "diag_info_id",
        "JOIN mdtrt_month AS k ON k.mdtrt_id = t.mdtrt_id",
        "k.month",
    ),
    "drg_rslt_d": ("setl_id", "JOIN setl_month AS k ON k.setl_id = t.setl_id", "k.month"),
}
_REAL_TIME = (
    "left(med_type, 2) IN ('11','12','13','14','41','21','22','23','24','25','26','27','28','52')"
)
_LABEL = "strftime({0}, '%Y-%m')"
_QUARTER = "concat(year({0}), 'Q', quarter({0}))"


@dataclass
class _Counts:
    """What the warehouse holds per month, before it is divided."""

    records: Counter[str] = field(default_factory=Counter)
    violating: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    blocked: dict[str, set[str]] = field(default_factory=dict)


def quality(
    warehouse: Path, periods: Sequence[str], memory: str = MEMORY, threads: int = 2
) -> dict[str, dict[str, object]]:
    """Quality figures per period (`2024-03` or `2024Q1`); null with a note where unmeasurable."""
    with opened(warehouse, memory, threads) as connection:
        results = run_rules(connection)
        rows = row_counts(connection)
        if not rows.get("setl_d"):
            return {period: _unmeasured("no settlements in the warehouse") for period in periods}
        _month_tables(connection)
        counts = _count(connection, warehouse, results, rows)
        late = _by_period(connection, _timeliness)
        drift = _by_period(connection, _accuracy) if rows.get("setl_fund_d") else None
    return {period: _figures(period, counts, late, drift) for period in periods}


def _month_tables(connection: Connection) -> None:
    connection.execute(
        "CREATE TEMP TABLE setl_month AS "
        "SELECT setl_id, mdtrt_id, date_trunc('month', setl_time) AS month FROM setl_d"
    )
    connection.execute(
        "CREATE TEMP TABLE mdtrt_month AS "
        "SELECT mdtrt_id, max(month) AS month FROM setl_month GROUP BY mdtrt_id"
    )


def _count(
    connection: Connection,
    warehouse: Path,
    results: Iterable[RuleResult],
    rows: Mapping[str, int],
) -> _Counts:
    counts = _Counts()
    blocking = {result.rule.id for result in results if result.rule.severity is Severity.BLOCK}
    for record in _MONTH_OF:
        if rows.get(record):
            _count_record(connection, record, counts, blocking)
            _count_missing(connection, warehouse, record, counts)
    _count_static(connection, counts, blocking)
    return counts


def _count_record(connection: Connection, record: str, counts: _Counts, blocking: set[str]) -> None:
    key, join, month = _MONTH_OF[record]
    label = _LABEL.format(month)
    counts.records.update(
        _pairs(connection, f"SELECT {label}, count(*) FROM {record} AS t {join} GROUP BY 1")
    )
    found = connection.execute(
        f"SELECT {label}, f.rule, count(DISTINCT f.token) FROM failing AS f "
        f"JOIN {record} AS t ON t.{key} = f.token {join} WHERE f.record = ? GROUP BY ALL",
        [record],
    ).fetchall()
    for period, rule, _ in found:
        if rule in blocking:
            counts.blocked.setdefault(period, set()).add(rule)
    counts.violating.update(
        _pairs(
            connection,
            f"SELECT {label}, count(DISTINCT f.token) FROM failing AS f JOIN {record} AS t "
            f"ON t.{key} = f.token {join} WHERE f.record = '{record}' GROUP BY 1",
        )
    )


def _count_static(connection: Connection, counts: _Counts, blocking: set[str]) -> None:
    """A failing record without a month (a catalogue, an enrolment) concerns every period."""
    known = ", ".join(f"'{name}'" for name in _MONTH_OF)
    found = connection.execute(
        f"SELECT DISTINCT rule FROM failing WHERE record NOT IN ({known})"
    ).fetchall()
    counts.blocked[""] = {row[0] for row in found if row[0] in blocking}


def _count_missing(connection: Connection, warehouse: Path, record: str, counts: _Counts) -> None:
    _, join, month = _MONTH_OF[record]
    always = always_expected(record)
    nullable = [name for name in always if _has_nulls(connection, warehouse, record, name)]
    sometimes = sometimes_expected(record)
    missing = [f"count_if(t.{name} IS NULL)" for name in nullable]
    missing += [f"count_if({x.condition} AND t.{x.column} IS NULL)" for x in sometimes]
    expected = [f"{len(always)} * count(*)"] + [f"count_if({x.condition})" for x in sometimes]
    sql = (
        f"SELECT {_LABEL.format(month)}, {' + '.join(expected)}, {' + '.join(missing) or '0'} "
        f"FROM {record} AS t {join} GROUP BY 1"
    )
    for period, wanted, absent in connection.execute(sql).fetchall():
        counts.expected[period] += wanted
        counts.missing[period] += absent


def _has_nulls(connection: Connection, warehouse: Path, record: str, column: str) -> bool:
    """Whether the file may hold nulls there, from its footer: most columns need no scan."""
    row = connection.execute(
        "SELECT count_if(stats_null_count IS NULL), sum(stats_null_count) "
        "FROM parquet_metadata(?) WHERE path_in_schema = ?",
        [str(warehouse / f"{record}.parquet"), column],
    ).fetchone()
    return row is None or bool(row[0]) or bool(row[1])


def _by_period(connection: Connection, query: Callable[[str], str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for label in (_LABEL, _QUARTER):
        found.update(connection.execute(query(label.format("setl_time"))).fetchall())
    return found


def _timeliness(label: str) -> str:
    """P95 of minutes between settlement and arrival, for classes settled in real time."""
    return (
        f"SELECT {label}, quantile_disc(date_diff('second', setl_time, crte_time) / 60.0, 0.95) "
        f"FROM setl_d WHERE {_REAL_TIME} AND coalesce(setl_type, '2') = '2' "
        "AND crte_time IS NOT NULL GROUP BY 1"
    )


def _accuracy(label: str) -> str:
    """Relative difference between the fund split and the settlement headers."""
    return f"""
WITH split AS (SELECT setl_id, sum(fund_payamt) AS fund FROM setl_fund_d
  WHERE fund_pay_type <> '310200' GROUP BY setl_id)
SELECT {label}, CASE WHEN sum(f.fund) = 0 THEN NULL
  ELSE abs(sum(s.fund_pay_sumamt) - sum(f.fund))::DOUBLE / abs(sum(f.fund))::DOUBLE END
FROM setl_d AS s LEFT JOIN split AS f USING (setl_id) GROUP BY 1"""


def _pairs(connection: Connection, sql: str) -> dict[str, int]:
    return {period: int(number) for period, number in connection.execute(sql).fetchall()}


def months_of(period: str) -> tuple[str, ...]:
    """The months of a period: `2024Q1` has three, `2024-03` is one, `2024` has twelve."""
    if "Q" in period:
        year, quarter = period.split("Q")
        first = 3 * int(quarter) - 2
        return tuple(f"{year}-{month:02d}" for month in range(first, first + 3))
    if len(period) == len("2024"):
        return tuple(f"{period}-{month:02d}" for month in range(1, 13))
    return (period,)


def _figures(
    period: str,
    counts: _Counts,
    late: Mapping[str, float | None],
    drift: Mapping[str, float | None] | None,
) -> dict[str, object]:
    months = months_of(period)
    records = sum(counts.records[month] for month in months)
    if not records:
        return _unmeasured("no records in this period")
    expected = sum(counts.expected[month] for month in months)
    absent = sum(counts.missing[month] for month in months)
    violating = sum(counts.violating[month] for month in months)
    blocked = counts.blocked[""].union(*(counts.blocked.get(month, set()) for month in months))
    notes = {"completeness": "field part only: no 3201 totals to compare the records received"}
    if late.get(period) is None:
        notes["timeliness"] = "no arrival time (crte_time) on settlements of this period"
    if drift is None or drift.get(period) is None:
        notes["accuracy"] = "no fund ledger and no fund split to reconcile against"
    else:
        notes["accuracy"] = "no fund ledger: fund split reconciled against settlement headers"
    return {
        "completeness": _rounded(1 - absent / expected if expected else None),
        "consistency": _rounded(1 - violating / records),
        "timeliness": _rounded(late.get(period)),
        "accuracy": _rounded((drift or {}).get(period)),
        "blocked_rules": len(blocked),
        "notes": notes,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _unmeasured(reason: str) -> dict[str, object]:
    figures = ("completeness", "consistency", "timeliness", "accuracy")
    return {
        **dict.fromkeys(figures, None),
        "blocked_rules": 0,
        "notes": dict.fromkeys(figures, reason),
    }
