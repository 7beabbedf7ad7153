"""A small real HTTP server on the journal, for the crash tests: one request, one recorded answer.

Run as a program. `--sabotage` builds in one classical mistake, so that the crash tests can prove
that they would notice it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.journal import schema
from gateway.journal.entry import Entry
from gateway.journal.port import JournalConflict
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from metering.usage import UsageEvent
from tests import power

SABOTAGE = ("none", "ack-before-commit", "no-unique-key", "no-fsync")
# Without checkpoints the server cannot notice by itself that its end is missing.
NEVER = Checkpointing(events=10**9, period=timedelta.max)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def entry_for(journal: SqliteJournal, request_id: str) -> Entry:
    """An answered call with this request id."""
    stamp = journal.stamp(datetime.now(UTC))
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
        billable_qty=100,
        repeat_of=None,
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
    return Entry(request_id, stamp.event_id, stamp.time, decision, audit, used)


async def recorded(journal: SqliteJournal, request_id: str) -> None:
    """Record once, whoever asks again."""
    try:
        await journal.record(entry_for(journal, request_id))
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
            if sabotage != "ack-before-commit":
                await task
            writer.write(OK)
            await writer.drain()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--sabotage", choices=SABOTAGE, default="none")
    parser.add_argument("--images", type=Path, help="keep synced images here (power model)")
    asked = parser.parse_args()
    if asked.images:
        power.watch(asked.images)
    if asked.sabotage == "no-unique-key":
        schema.TABLES = schema.TABLES.replace(" UNIQUE", "")
    journal = SqliteJournal.open(
        asked.home / "journal.db",
        asked.home / "keys",
        datetime.now(UTC),
        every=NEVER if asked.sabotage == "no-fsync" else Checkpointing(events=50),
    )
    if asked.sabotage == "no-fsync":
        journal._spool._db.execute("PRAGMA synchronous=OFF")
    asyncio.run(serve(journal, asked.port, asked.sabotage))


if __name__ == "__main__":
    sys.exit(main())
