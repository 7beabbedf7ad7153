"""What durable recording costs: group commit against one commit per event, in the same run.

Wall-clock figures belong to the machine and the moment; the ratios and the CPU per event are what
to compare. Run: `python -m tests.benchmarks.journal`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from gateway.journal.group import GroupCommit, Pace
from gateway.journal.spool import Spool
from gateway.journal.sqlite import SqliteJournal, new_id
from metering.usage import time_text
from tests.journal_server import entry_for

ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """Events per second, CPU per event and latency of one way to record."""

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def group_commit(callers: int, each: int) -> Cost:
    """`callers` requests at a time, each recording `each` events through the journal."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        journal = SqliteJournal.open(home / "journal.db", home / "keys", datetime.now(UTC))
        entries = [entry_for(journal, f"r{n}") for n in range(callers * each)]
        cost = asyncio.run(_drive(journal.record, entries, callers))
        journal.close()
    return cost


def nothing_stored(callers: int, each: int) -> Cost:
    """The same hand-over between loop and thread with no store behind: the harness itself."""
    group = GroupCommit(lambda batch: [None] * len(batch), _nothing, _nothing, Pace())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        journal = SqliteJournal.open(home / "journal.db", home / "keys", datetime.now(UTC))
        entries = [entry_for(journal, f"r{n}") for n in range(callers * each)]
        journal.close()
    cost = asyncio.run(_drive(group.record, entries, callers))
    group.close()
    return cost


def plain_autocommit(events: int) -> Cost:
    """The naive way: the same rows, one transaction and one sync for each event."""
    with tempfile.TemporaryDirectory() as folder:
        home, now = Path(folder), datetime.now(UTC)
        journal = SqliteJournal.open(home / "journal.db", home / "keys", now)
        entries = [entry_for(journal, f"r{n}") for n in range(events)]
        journal.close()
        spool = Spool(home / "plain.db", new_id(now), time_text(now))
        waited = []
        began, used = time.perf_counter(), time.process_time()
        for entry in entries:
            start = time.perf_counter()
            spool.append([entry])
            waited.append(time.perf_counter() - start)
        cost = _cost(events, time.perf_counter() - began, time.process_time() - used, waited)
        spool.close()
    return cost


async def _drive(record, entries, callers) -> Cost:  # type: ignore[no-untyped-def]  # two fronts
    waited: list[float] = []

    async def caller(mine) -> None:  # type: ignore[no-untyped-def]  # a slice of entries
        for entry in mine:
            start = time.perf_counter()
            await record(entry)
            waited.append(time.perf_counter() - start)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(entries[n::callers]) for n in range(callers)))
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return _cost(len(entries), wall, cpu, waited)


def _cost(events: int, wall: float, cpu: float, waited: list[float]) -> Cost:
    ranked = sorted(waited)
    return Cost(
        events / wall,
        cpu / events * 1e6,
        ranked[len(ranked) // 2] * 1e3,
        ranked[len(ranked) * 99 // 100] * 1e3,
    )


def _nothing() -> None:
    return None


def _middle(measure: Callable[[], Cost]) -> Cost:
    runs = [measure() for _ in range(ROUNDS)]
    rate = median(run.per_second for run in runs)
    return next(run for run in runs if run.per_second == rate)


def main() -> None:
    """Print the table."""
    base = _middle(lambda: plain_autocommit(400))
    ways = {
        "one commit per event": base,
        "group commit,   1 caller": _middle(lambda: group_commit(1, 400)),
        "group commit,  16 callers": _middle(lambda: group_commit(16, 250)),
        "group commit, 256 callers": _middle(lambda: group_commit(256, 60)),
        "no store,     256 callers": _middle(lambda: nothing_stored(256, 60)),
    }
    out = sys.stdout.write
    heads = ("events/s", "× naive", "CPU µs", "÷ naive", "p50 ms", "p99 ms")
    out(" " * 27 + "".join(f"{head:>10}" for head in heads) + "\n")
    for name, cost in ways.items():
        speed, cpu = cost.per_second / base.per_second, cost.cpu_us / base.cpu_us
        out(f"{name:27}{cost.per_second:10.0f}{speed:10.1f}{cost.cpu_us:10.0f}{cpu:10.2f}")
        out(f"{cost.p50_ms:10.2f}{cost.p99_ms:10.2f}\n")


if __name__ == "__main__":
    main()
