"""The four data-quality figures of a period: completeness, consistency, timeliness, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthetic.integrity.counting import REAL_TIME, Connection, Counts, Ledger, count
from synthetic.integrity.engine import MEMORY, opened, row_counts, run_rules

_LABEL = "strftime({0}, '%Y-%m')"
_QUARTER = "concat(year({0}), 'Q', quarter({0}))"


@dataclass(frozen=True)
class Measured:
    """Figures per period, and what each institution delivered per month (`2024-03`, code)."""

    figures: Mapping[str, dict[str, object]]
    institutions: Mapping[tuple[str, str], Counts] = field(default_factory=dict)


def quality(
    warehouse: Path, periods: Sequence[str], memory: str = MEMORY, threads: int = 2
) -> dict[str, dict[str, object]]:
    """Quality figures per period (`2024-03` or `2024Q1`); null with a note where unmeasurable."""
    return dict(measure(warehouse, periods, memory, threads).figures)


def measure(
    warehouse: Path, periods: Sequence[str], memory: str = MEMORY, threads: int = 2
) -> Measured:
    """The same figures, with the counts of every institution and month behind them."""
    with opened(warehouse, memory, threads) as connection:
        results = run_rules(connection)
        rows = row_counts(connection)
        if not rows.get("setl_d"):
            reason = "no settlements in the warehouse"
            return Measured({period: _unmeasured(reason) for period in periods})
        ledger = count(connection, warehouse, results, rows)
        late = _by_period(connection, _timeliness)
        drift = _by_period(connection, _accuracy) if rows.get("setl_fund_d") else None
    figures = {period: _figures(period, ledger, late, drift) for period in periods}
    return Measured(figures, dict(ledger.by_institution))


def _by_period(connection: Connection, query: Callable[[str], str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for label in (_LABEL, _QUARTER):
        found.update(connection.execute(query(label.format("setl_time"))).fetchall())
    return found


def _timeliness(label: str) -> str:
    """P95 of minutes between settlement and arrival, for classes settled in real time."""
    return (
        f"SELECT {label}, quantile_disc(date_diff('second', setl_time, crte_time) / 60.0, 0.95) "
        f"FROM setl_d WHERE {REAL_TIME} GROUP BY 1"
    )


def _accuracy(label: str) -> str:
    """Relative difference between the fund split and the settlement headers."""
    return f"""
WITH split AS (SELECT setl_id, sum(fund_payamt) AS fund FROM setl_fund_d
  WHERE fund_pay_type <> '310200' GROUP BY setl_id)
SELECT {label}, CASE WHEN sum(f.fund) = 0 THEN NULL
  ELSE abs(sum(s.fund_pay_sumamt) - sum(f.fund))::DOUBLE / abs(sum(f.fund))::DOUBLE END
FROM setl_d AS s LEFT JOIN split AS f USING (setl_id) GROUP BY 1"""


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
    ledger: Ledger,
    late: Mapping[str, float | None],
    drift: Mapping[str, float | None] | None,
) -> dict[str, object]:
    months, whole = months_of(period), Counts()
    for month in months:
        whole.add(ledger.of_month(month))
    if not whole.records:
        return _unmeasured("no records in this period")
    blocked = ledger.blocked[""].union(*(ledger.blocked.get(month, set()) for month in months))
    notes = {"completeness": "field part only: no 3201 totals to compare the records received"}
    if late.get(period) is None:
        notes["timeliness"] = "no arrival time (crte_time) on settlements of this period"
    if drift is None or drift.get(period) is None:
        notes["accuracy"] = "no fund ledger and no fund split to reconcile against"
    else:
        notes["accuracy"] = "no fund ledger: fund split reconciled against settlement headers"
    return {
        "completeness": _rounded(1 - whole.missing / whole.expected if whole.expected else None),
        "consistency": _rounded(1 - whole.violating / whole.records),
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
