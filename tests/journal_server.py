"""A small real HTTP server on the journal, for the crash tests: one request, one recorded answer.

Run as a program. `--sabotage` builds in one classical mistake, so that the crash tests can prove
that they would notice it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import OperatorError
from gateway.journal import checkpoint, names, schema
from gateway.journal.charges import Claim
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry
from gateway.journal.port import JournalConflict, JournalUnavailable
from gateway.journal.sqlite import CentralStore, Checkpointing, SqliteJournal
from gateway.journal.stamp import Stamp
from gateway.journal.stores import Signed
from metering.usage import UsageEvent
from tests import power

SYNCHRONOUS = {"synchronous-off": "OFF", "synchronous-normal": "NORMAL"}
SABOTAGE = (
    "none",
    "ack-before-commit",
    "no-unique-key",
    "no-fsync",  # the disk, not the program, forgets to sync
    "shared-sectors",  # SQLite's default: a commit may begin in the last one's sector
    *SYNCHRONOUS,
)
HUNDRED = (1 << 100) - 1
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def own_claim(request_id: str, stamp: Stamp, place: int | None = None) -> Claim:
    """A hundred cells that no other request asks for."""
    if place is None:
        place = int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=7).digest(), "big")
    return Claim("t-crash", "S02-r1", stamp.time, stamp.event_id, {place: HUNDRED}, None)


def shared_claim(request_id: str, stamp: Stamp, hold: Hold) -> Claim:
    """A hundred cells, many of which neighbours ask for too."""
    place, shift = divmod(int(request_id.removeprefix("r-")), 20)
    return hold.charge("t-crash", "S02-r1", {place: HUNDRED << 9 * shift}, stamp.event_id)


def entry_for(
    journal: SqliteJournal, request_id: str, hold: Hold | None = None, place: int | None = None
) -> Entry:
    """An answered call with this request id; with a hold, for cells that others ask for too.
    Otherwise for cells of its own, somewhere or at a place."""
    stamp = journal.stamp(datetime.now(UTC))
    claim = shared_claim(request_id, stamp, hold) if hold else own_claim(request_id, stamp, place)
    used = UsageEvent(
        event_id=stamp.event_id,
        request_id=request_id,
        decision_id=f"d-{stamp.event_id}",
        grant="g-crash",
        tenant="t-crash",
        service="S02",
        version="1.0",
        release="S02-r1",
        unit="per_1000_cells",
        qty=100,
        billable_qty=claim.count,
        repeat_of=claim.repeat_of,
        price_ref="p1",
        price_micro=40_000_000,
        providers_ref="S02-r1",
        purpose="crash",
        query_hash=request_id,
        page="",
        time=stamp.time,
    )
    decision = {"decision_id": used.decision_id, "allow": True, "deny": []}
    audit = {
        "kind": "read",
        "result": "answered",
        "tenant": used.tenant,
        "grant": used.grant,
        "service": used.service,
        "cells": used.qty,
    }
    return Entry(
        request_id,
        stamp.event_id,
        stamp.time,
        decision,
        audit,
        used,
        charged=claim.cells,
        rests_on=claim.rests_on,
    )


async def recorded(journal: SqliteJournal, request_id: str) -> None:
    """Record once, whoever asks again."""
    with journal.counters.reserve("g-crash", request_id, 100, datetime.now(UTC)) as hold:
        place = int(request_id.removeprefix("r-")) // 20
        await journal.foresee("t-crash", "S02-r1", [place], hold.time)
        entry = entry_for(journal, request_id, hold)
        try:
            await journal.record(entry, hold)
        except JournalConflict:
            return


async def serve(journal: SqliteJournal, port: int, sabotage: str) -> None:
    """Answer `POST /<request id>` for ever."""
    running: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            request_id = head.split(b" ", 2)[1].decode().lstrip("/")
            task = asyncio.create_task(recorded(journal, request_id))
            running.add(task)
            task.add_done_callback(running.discard)
            reply = OK
            if sabotage != "ack-before-commit":
                try:
                    await task
                except JournalUnavailable:
                    reply = UNAVAILABLE
            writer.write(reply)
            await writer.drain()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    await server.serve_forever()


def opened(home: Path, sabotage: str, dsn: str | None = None) -> SqliteJournal:
    """The journal of this home, with one mistake built in or none."""
    if sabotage == "no-unique-key":
        schema.TABLES = schema.TABLES.replace(" UNIQUE", "")
    if sabotage == "shared-sectors":
        schema.WRITING = "psow=1"
    honest = sabotage in ("none", "ack-before-commit", "no-unique-key")
    if not honest:  # without checkpoints it cannot notice by itself that its end is missing
        Signed.sign = lambda *_: None  # type: ignore[method-assign]  # a mistake on purpose
    every = Checkpointing(events=50)
    store = None if dsn is None else CentralStore(dsn, "main")
    path, keys = home / "journal.db", home / "keys"
    journal = SqliteJournal.open(path, keys, datetime.now(UTC), every=every, store=store)
    if level := SYNCHRONOUS.get(sabotage):
        journal._spool._db.execute(f"PRAGMA synchronous={level}")
    return journal


def watch(trace: Path, home: Path, sabotage: str) -> power.Recorder:
    """Write down what the journal does to its files in this home."""
    recorder = power.watch(trace, flushes=sabotage != "no-fsync")
    for module in (checkpoint, names):
        setattr(module, "os", power.Os(recorder, home))  # noqa: B010 - a module's own `os`
    return recorder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--sabotage", choices=SABOTAGE, default="none")
    parser.add_argument("--dsn", help="of the central store, if there is one")
    parser.add_argument("--trace", type=Path, help="write down what SQLite does (power model)")
    asked = parser.parse_args()
    if asked.trace:
        watch(asked.trace, asked.home, asked.sabotage)
    try:
        journal = opened(asked.home, asked.sabotage, asked.dsn)
    except OperatorError as error:  # as the command line shows it
        sys.exit(f"{error.code}: {error}")
    asyncio.run(serve(journal, asked.port, asked.sabotage))


if __name__ == "__main__":
    sys.exit(main())
