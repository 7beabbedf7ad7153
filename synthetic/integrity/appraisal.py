"""The whole appraisal of a warehouse: findings of rules, the four figures, further figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synthetic.integrity.arriving import (
    Day,
    Punctual,
    measure_days,
    read_days,
    read_punctuality,
)
from synthetic.integrity.counting import Ledger, count
from synthetic.integrity.engine import MEMORY, opened, row_counts, run_rules
from synthetic.integrity.findings import Finding, find, read_findings
from synthetic.integrity.further import Further, measure_further, read_further
from synthetic.integrity.kpis import ALL, Kpi, measure_kpis, read_kpis
from synthetic.integrity.merging import Shown, each, groups, name_feeders
from synthetic.integrity.model import RuleResult
from synthetic.integrity.placing import Connection
from synthetic.integrity.told import Told


@dataclass(frozen=True)
class Bench:
    """A warehouse whose rules were run, with what they found in tables of the connection."""

    connection: Connection
    results: tuple[RuleResult, ...]
    rows: Mapping[str, int]
    ledger: Ledger | None  # none where nothing was settled


@dataclass(frozen=True)
class Appraisal:
    """What is known of the quality of a warehouse; no record's key is in it."""

    findings: tuple[Finding, ...]  # of rules that fail somewhere
    kpis: tuple[Kpi, ...]
    further: tuple[Further, ...]
    days: tuple[Day, ...] = ()
    punctuality: tuple[Punctual, ...] = ()

    @property
    def regional(self) -> tuple[Kpi, ...]:
        """The figures of each month, all feeders and tables together."""
        return tuple(one for one in self.kpis if one.feeder == ALL and one.table == ALL)


@contextmanager
def benched(warehouse: Path, memory: str = MEMORY, threads: int = 2) -> Iterator[Bench]:
    """Run the rules over a warehouse and count what each feeder delivered."""
    with opened(warehouse, memory, threads) as connection:
        results = run_rules(connection)
        rows = row_counts(connection)
        ledger = count(connection, warehouse, results, rows) if rows.get("setl_d") else None
        yield Bench(connection, results, rows, ledger)


def appraise(
    warehouse: Path,
    *,
    public: bool = False,
    told: Iterable[Told] = (),
    memory: str = MEMORY,
    threads: int = 2,
) -> Appraisal:
    """Everything the quality report says of a warehouse; in public, of groups of institutions."""
    with benched(warehouse, memory, threads) as bench:
        if bench.ledger is None:
            return Appraisal((), (), ())
        tabulate(bench, groups if public else each, tuple(told))
        connection = bench.connection
        return Appraisal(
            read_findings(connection),
            read_kpis(connection),
            read_further(connection),
            read_days(connection),
            read_punctuality(connection),
        )


def tabulate(bench: Bench, shown: Shown = each, told: Sequence[Told] = ()) -> None:
    """Make the tables `finding`, `kpi`, `arrival_day` and `further`."""
    name_feeders(bench.connection, bench.rows, shown)
    find(bench.connection, bench.rows)
    measure_kpis(bench.connection, bench.rows, told)
    measure_days(bench.connection)
    measure_further(bench.connection, bench.rows, told)
