"""What durable recording costs, against PostgreSQL's own COPY in the same run.

Wall-clock figures belong to the machine and the moment; the ratios and the CPU per event are what
to compare. Run: `python -m tests.benchmarks.journal`.

The base is COPY of the very same rows (audit event, decision, usage, charged cells; made
beforehand) straight into the central store's tables: no dedup, no checkpoint. Everything else makes
and seals its rows within the time that is measured.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from gateway.journal.entry import Entry
from gateway.journal.group import GroupCommit, Pace
from gateway.journal.postgres import connect
from gateway.journal.postgres_rows import COLUMNS, of_entries
from gateway.journal.seal import seal_all
from gateway.journal.ship import Source, ship
from gateway.journal.spool import Spool
from gateway.journal.sqlite import SqliteJournal, new_id
from metering.usage import time_text
from tests.benchmarks import journal_gateway, journal_http
from tests.journal_server import entry_for
from tests.journal_store import Store, store_on
from tests.postgres_server import postgres_server

ROUNDS = 3
EVENTS = 16_000
BATCH = 4_000
COPY, SPOOLED = "COPY, no dedup (base)", "SQLite spool, group commit"
SHIPPED, DIRECT = "shipping with dedup", "PostgreSQL, group commit"
BOUNDS = {SPOOLED: 0.5, SHIPPED: 0.5}


@dataclass(frozen=True)
class Cost:
    """Events per second, this process's CPU per event and latency of one way to record."""

    per_second: float
    cpu_us: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def made(count: int) -> list[Entry]:
    """Entries of answered calls, each charged for cells of its own. They are frozen: no server
    holds so many at a time, and looking through them for garbage would be counted as recording."""
    with tempfile.TemporaryDirectory() as folder, closing(_opened(Path(folder))) as journal:
        entries = [entry_for(journal, f"r{n}", place=n) for n in range(count)]
    gc.collect()
    gc.freeze()
    return entries


def copied(store: Store, entries: Sequence[Entry]) -> Cost:
    """COPY of rows that are there already."""
    sealed = seal_all(entries, 0, b"")
    parts = [
        of_entries("base", entries[at : at + BATCH], sealed[at : at + BATCH])
        for at in range(0, len(entries), BATCH)
    ]

    async def copy() -> Cost:
        db = await connect(store.dsn, "bench", 120.0)
        began, used = time.perf_counter(), time.process_time()
        for rows in parts:
            async with db.transaction():
                for table, found in rows.tables():
                    if found:
                        names = list(COLUMNS[table])
                        await db.copy_records_to_table(table, records=found, columns=names)
        cost = _cost(len(entries), began, used)
        await db.close()
        return cost

    return asyncio.run(copy())


def spooled(entries: Sequence[Entry], callers: int = 256) -> Cost:
    """Requests at a time, each recording through the journal into its SQLite file."""
    with tempfile.TemporaryDirectory() as folder, closing(_opened(Path(folder))) as journal:
        return asyncio.run(_drive(journal, entries, callers))


def shipped(store: Store, entries: Sequence[Entry]) -> Cost:
    """A spool that lies there, into the store: read, COPY, INSERT … ON CONFLICT, checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        path, now = Path(folder) / "journal.db", datetime.now(UTC)
        with closing(Spool(path, new_id(now), time_text(now))) as spool:
            for at in range(0, len(entries), BATCH):
                spool.append(entries[at : at + BATCH])

        async def go() -> Cost:
            db = await connect(store.dsn, "bench", 120.0)
            with closing(Source(path)) as source:
                began, used = time.perf_counter(), time.process_time()
                done = await ship(db, source, "bench", BATCH)
                cost = _cost(len(entries), began, used)
            await db.close()
            assert (done.new, done.quarantined) == (len(entries), 0), done
            return cost

        return asyncio.run(go())


def direct(store: Store, entries: Sequence[Entry], callers: int = 256) -> Cost:
    """Requests at a time, each recording through the journal straight into the store."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(store.open(Path(folder), now=datetime.now(UTC))) as journal,
    ):
        cost = asyncio.run(_drive(journal, entries, callers))
        assert journal._spool.head.seq == 0, "PostgreSQL was away"
        return cost


def nothing_stored(entries: Sequence[Entry], callers: int = 256) -> Cost:
    """The same preparing and hand-over between loop and thread with no store behind."""
    group = GroupCommit(lambda batch: [None] * len(batch), _nothing, _nothing, Pace())
    cost = asyncio.run(_drive(group, entries, callers))
    group.close()
    return cost


def one_by_one(entries: Sequence[Entry]) -> Cost:
    """The naive way: the same rows, one transaction and one sync for each event."""
    with tempfile.TemporaryDirectory() as folder:
        now = datetime.now(UTC)
        with closing(Spool(Path(folder) / "plain.db", new_id(now), time_text(now))) as spool:
            began, used = time.perf_counter(), time.process_time()
            for entry in entries:
                spool.append([entry])
            return _cost(len(entries), began, used)


def _opened(home: Path) -> SqliteJournal:
    return SqliteJournal.open(home / "journal.db", home / "keys", datetime.now(UTC))


async def _drive(
    journal: SqliteJournal | GroupCommit, entries: Sequence[Entry], callers: int
) -> Cost:
    waited: list[float] = []

    async def caller(mine: Sequence[Entry]) -> None:
        for entry in mine:
            start = time.perf_counter()
            await journal.record(entry)
            waited.append(time.perf_counter() - start)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(entries[n::callers]) for n in range(callers)))
    return _cost(len(entries), began, used, waited)


def _cost(events: int, began: float, used: float, waited: Sequence[float] = (0.0,)) -> Cost:
    wall, cpu, ranked = time.perf_counter() - began, time.process_time() - used, sorted(waited)
    p50, p99 = ranked[len(ranked) // 2], ranked[len(ranked) * 99 // 100]
    return Cost(events / wall, cpu / events * 1e6, p50 * 1e3, p99 * 1e3)


def _nothing() -> None:
    return None


def _middle(runs: Sequence[Cost]) -> Cost:
    rate = median(run.per_second for run in runs)
    return next(run for run in runs if run.per_second == rate)


def against_copy() -> dict[str, Cost]:
    """Every way in turns, a few rounds: all meet the same machine."""
    ways: dict[str, Callable[[Store], Cost]] = {
        COPY: lambda store: copied(store, made(EVENTS)),
        SPOOLED: lambda store: spooled(made(EVENTS)),
        SHIPPED: lambda store: shipped(store, made(EVENTS)),
        DIRECT: lambda store: direct(store, made(EVENTS)),
        "no store: harness, preparing": lambda store: nothing_stored(made(EVENTS)),
        "SQLite, one commit per event": lambda store: one_by_one(made(300)),
    }
    runs: dict[str, list[Cost]] = {name: [] for name in ways}
    with postgres_server() as server:
        for _ in range(ROUNDS):
            for name, way in ways.items():
                with store_on(server) as store:
                    runs[name].append(way(store))
                gc.unfreeze()
    return {name: _middle(found) for name, found in runs.items()}


def main() -> None:
    """Print the tables."""
    out, costs = sys.stdout.write, against_copy()
    heads = ("events/s", "× COPY", "bound", "CPU µs", "p50 ms", "p99 ms")
    out(" " * 30 + "".join(f"{head:>10}" for head in heads) + "\n")
    for name, cost in costs.items():
        bound = f"≥ {BOUNDS[name]}" if name in BOUNDS else ""
        out(f"{name:30}{cost.per_second:10.0f}{cost.per_second / costs[COPY].per_second:10.2f}")
        out(f"{bound:>10}{cost.cpu_us:10.0f}{cost.p50_ms:10.2f}{cost.p99_ms:10.2f}\n")
    _say_requests("one request, bare route", journal_http.measure())
    loads, cells = journal_gateway.measure()
    for kind in journal_gateway.KINDS:
        ways = {way: loads[kind, way] for way in journal_http.WAYS}
        _say_requests(f"gateway, {cells} cells, {kind}", ways)


def _say_requests(what: str, loads: dict[str, journal_http.Load]) -> None:
    """A table of requests over 16 connections, µs of CPU by thread: without a record, where calls
    only wait, and with a durable record."""
    out, plain = sys.stdout.write, loads["nothing"]
    heads = ("req/s", "kept", "CPU µs", "loop", "writer", "added")
    out(f"\n{what:30}" + "".join(f"{h:>10}" for h in heads) + "\n")
    for way, load in loads.items():
        kept, added = load.per_second / plain.per_second, load.cpu_us - plain.cpu_us
        out(f"{way:30}{load.per_second:10.0f}{kept:10.2f}{load.cpu_us:10.0f}{load.loop_us:10.0f}")
        out(f"{load.writer_us:10.0f}{added:10.0f}\n")
    out("bounds of what is recorded: kept ≥ 0.65, added ≤ 120\n")


if __name__ == "__main__":
    main()
