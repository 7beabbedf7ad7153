"""The four data-quality figures of a period: completeness, consistency, timeliness, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path

from synthetic.integrity.appraisal import benched
from synthetic.integrity.counting import REAL_TIME, Counts, Ledger, month_label
from synthetic.integrity.engine import MEMORY
from synthetic.integrity.kpis import NAMES, compare_totals, fails
from synthetic.integrity.merging import name_feeders
from synthetic.integrity.placing import Connection
from synthetic.integrity.told import Told, audited_error

_LABEL = "strftime({0}, '%Y-%m')"
_QUARTER = "concat(year({0}), 'Q', quarter({0}))"
_YEAR = "year({0})::VARCHAR"


@dataclass(frozen=True)
class Measured:
    """Figures per period, what each institution delivered per month (`2024-03`, code), and which
    figures and blocking rules fail in each period."""

    figures: Mapping[str, dict[str, object]]
    institutions: Mapping[tuple[str, str], Counts] = field(default_factory=dict)
    failing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def quality(
    warehouse: Path, periods: Sequence[str], memory: str = MEMORY, threads: int = 2
) -> dict[str, dict[str, object]]:
    """Quality figures per period (`2024-03` or `2024Q1`); null with a note where unmeasurable."""
    return dict(measure(warehouse, periods, memory, threads).figures)


def measure(
    warehouse: Path,
    periods: Sequence[str],
    memory: str = MEMORY,
    threads: int = 2,
    told: Sequence[Told] = (),
) -> Measured:
    """The same figures, with the counts of every institution and month behind them."""
    with benched(warehouse, memory, threads) as bench:
        if bench.ledger is None:
            reason = "no settlements in the warehouse"
            return Measured({period: _unmeasured(reason) for period in periods})
        name_feeders(bench.connection, bench.rows)
        compare_totals(bench.connection, bench.rows)
        late = _by_period(bench.connection, _timeliness)
        split = _by_period(bench.connection, _split) if bench.rows.get("setl_fund_d") else {}
        audited = {one: audited_error(told, months_of(one)) for one in periods}
        beside = _Beside(late, split, _totals(bench.connection), audited)
    figures = {period: _figures(period, bench.ledger, beside) for period in periods}
    failing = {period: _failing(figures[period], period, bench.ledger) for period in periods}
    return Measured(figures, dict(bench.ledger.by_institution), failing)


def _failing(found: Mapping[str, object], period: str, ledger: Ledger) -> tuple[str, ...]:
    """The figures that miss their limits and the blocking rules that are broken."""
    if not any(ledger.of_month(month).records for month in months_of(period)):
        return ()
    values = {name: found[name] for name in NAMES}
    missed = [n for n in NAMES if fails(n, None if values[n] is None else float(str(values[n])))]
    return (*missed, *sorted(_blocked(ledger, period)))


def _blocked(ledger: Ledger, period: str) -> set[str]:
    months = months_of(period)
    return ledger.blocked[""].union(*(ledger.blocked.get(month, set()) for month in months))


@dataclass
class _Totals:
    """What a month's records are compared with: institutions' reports and the fund's ledger."""

    said: int = 0
    came: int = 0
    fee_said: Decimal = Decimal(0)
    fee_came: Decimal = Decimal(0)
    fund_said: Decimal = Decimal(0)
    fund_came: Decimal = Decimal(0)
    booked: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)

    def add(self, other: _Totals) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    @property
    def received(self) -> float | None:
        return self.came / self.said if self.said else None

    @property
    def apart(self) -> tuple[float, ...]:
        """The relative differences there are."""
        pairs = (self.fee_came, self.fee_said), (self.fund_came, self.fund_said)
        both = (*pairs, (self.paid, self.booked))
        return tuple(float(abs(have - want) / abs(want)) for have, want in both if want)


@dataclass(frozen=True)
class _Beside:
    """What figures need besides the counts, by period or month."""

    late: Mapping[str, float | None]
    split: Mapping[str, float | None]
    totals: Mapping[str, _Totals]
    audited: Mapping[str, float | None]


def _totals(connection: Connection) -> dict[str, _Totals]:
    found: dict[str, _Totals] = {}
    for month, said, came, *amounts in connection.execute(
        "SELECT month, said, came, fee_said, fee_came, fund_said, fund_came FROM reported"
        " WHERE feeder = ''"
    ).fetchall():
        found[month_label(month)] = _Totals(int(said), int(came), *amounts)
    for month, booked, paid in connection.execute("SELECT * FROM booked").fetchall():
        found.setdefault(month_label(month), _Totals()).add(_Totals(booked=booked, paid=paid))
    return found


def _by_period(connection: Connection, query: Callable[[str], str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for label in (_LABEL, _QUARTER, _YEAR):
        found.update(connection.execute(query(label.format("setl_time"))).fetchall())
    return found


def _timeliness(label: str) -> str:
    """P95 of minutes between settlement and arrival, for classes settled in real time."""
    return (
        f"SELECT {label}, quantile_disc(date_diff('second', setl_time, crte_time) / 60.0, 0.95) "
        f"FROM setl_d WHERE {REAL_TIME} GROUP BY 1"
    )


def _split(label: str) -> str:
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


def _figures(period: str, ledger: Ledger, beside: _Beside) -> dict[str, object]:
    months, whole, totals = months_of(period), Counts(), _Totals()
    for month in months:
        whole.add(ledger.of_month(month))
        totals.add(beside.totals.get(month, _Totals()))
    if not whole.records:
        return _unmeasured("no records in this period")
    late, split, audited = (
        each.get(period) for each in (beside.late, beside.split, beside.audited)
    )
    filled = 1 - whole.missing / whole.expected if whole.expected else None
    apart = [*totals.apart, *_known(split, audited)]
    return {
        "completeness": _rounded(min(_known(filled, totals.received), default=None)),
        "consistency": _rounded(1 - whole.violating / whole.records),
        "timeliness": _rounded(late),
        "accuracy": _rounded(max(apart, default=None)),
        "blocked_rules": len(_blocked(ledger, period)),
        "notes": _notes(totals, late, split, audited),
    }


def _notes(
    totals: _Totals, late: float | None, split: float | None, audited: float | None
) -> dict[str, str]:
    """What a figure could not be measured by."""
    notes = {}
    if not totals.said:
        notes["completeness"] = "field part only: no 3201 totals to compare the records received"
    if late is None:
        notes["timeliness"] = "no arrival time (crte_time) on settlements of this period"
    if not totals.apart and split is not None:
        notes["accuracy"] = (
            "no 3201 totals, no fund ledger: fund split reconciled against settlement headers"
        )
    elif not totals.apart and audited is not None:
        notes["accuracy"] = "audited sample only: nothing to reconcile against"
    elif not totals.apart:
        notes["accuracy"] = "no 3201 totals, fund ledger or fund split to reconcile against"
    return notes


def _known(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _unmeasured(reason: str) -> dict[str, object]:
    figures = ("completeness", "consistency", "timeliness", "accuracy")
    return {
        **dict.fromkeys(figures, None),
        "blocked_rules": 0,
        "notes": dict.fromkeys(figures, reason),
    }
