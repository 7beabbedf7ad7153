"""The events in the central store, as everything after the fact reads them.

For commands and threads without an event loop of their own: each question runs one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import pyarrow as pa

from gateway.journal.events import BATCH, IN_FLIGHT, Heads, Rows
from gateway.journal.postgres import connect
from gateway.journal.postgres_schema import unreachable

_T = TypeVar("_T")
_PATIENCE: Final = 600.0
"""Seconds that a batch of a big journal may take."""

_HEADS = """
SELECT journal_id, (SELECT a.seq FROM audit_event a WHERE a.journal_id = j.journal_id
  ORDER BY a.seq DESC LIMIT 1) FROM journal j ORDER BY 1
"""
# A node that stopped in order is not waited for; one that never spoke is as far as its last event.
_MARKS = """
SELECT j.journal_id, coalesce(h.time, (SELECT a.time FROM audit_event a
    WHERE a.journal_id = j.journal_id ORDER BY a.seq DESC LIMIT 1)), coalesce(h.retired, false)
FROM journal j LEFT JOIN LATERAL (SELECT time, retired FROM heartbeat b
  WHERE b.journal_id = j.journal_id ORDER BY time DESC LIMIT 1) h ON true
"""
_LINK = "SELECT hash FROM audit_event WHERE journal_id = $1 AND seq = $2"
_NUMBERED = """
SELECT journal_id, min(seq), max(seq) FROM audit_event WHERE time >= $1 AND time < $2 GROUP BY 1
"""
_ROWS = """
SELECT {columns} FROM {table} WHERE journal_id = $1 AND seq > $2 AND seq <= $3 ORDER BY {order}
"""
_AS_TEXT: Final = {
    "event_id": "event_id::text",
    "repeat_of": "repeat_of::text",
    "allow": "allow::int",
    "time": """to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
}


@dataclass(frozen=True)
class CentralEvents:
    """Journals in PostgreSQL: those written there, and spools as far as they were shipped."""

    dsn: str

    def heads(self) -> dict[str, int]:
        """The number of each journal's last event here."""
        return {journal: seq or 0 for journal, seq in self._fetch(_HEADS)}

    def link_at(self, journal: str, seq: int) -> bytes | None:
        """The chain's hash at an event."""
        rows = self._fetch(_LINK, journal, seq)
        return bytes(rows[0][0]) if rows else None

    def marks(self, now: datetime) -> dict[str, datetime]:
        """As far as each node last said that everything it recorded is here."""
        return {
            journal: min(heard, now) - IN_FLIGHT
            for journal, heard, retired in self._fetch(_MARKS)
            if heard is not None and not retired
        }

    def numbered(self, begins: datetime, ends: datetime) -> dict[str, tuple[int, int]]:
        """The numbers of a time and some minutes around it."""
        span = (begins - 2 * IN_FLIGHT, ends + 2 * IN_FLIGHT)
        return {journal: (first, last) for journal, first, last in self._fetch(_NUMBERED, *span)}

    def files(self) -> tuple[Path, ...]:
        """None: these journals lie in tables."""
        return ()

    def rows(self, what: Rows, after: Heads, until: Heads) -> Iterator[pa.RecordBatch]:
        """Rows of some events, from one journal after the other."""
        columns = ", ".join(_AS_TEXT.get(name, name) for name in what.names)
        query = _ROWS.format(columns=columns, table=what.table, order=what.order)
        for journal in sorted(until):
            span = (after.get(journal, 0), until[journal])
            if span[0] < span[1]:
                with asyncio.Runner() as loop:
                    for rows in self._stream(loop, query, journal, *span):
                        yield what.batch(journal, [tuple(row) for row in rows])

    def _stream(
        self, loop: asyncio.Runner, query: str, *values: object
    ) -> Iterator[list[asyncpg.Record]]:
        """What a question yields, from one snapshot, a batch at a time."""
        db = loop.run(self._connected())
        try:
            transaction = db.transaction(isolation="repeatable_read", readonly=True)
            loop.run(transaction.start())
            cursor = loop.run(_opened(db, query, *values))
            while rows := loop.run(cursor.fetch(BATCH)):
                yield rows
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise unreachable(error) from error
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                loop.run(db.close(timeout=2))

    def _fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        async def ask() -> list[asyncpg.Record]:
            db = await self._connected()
            try:
                return await db.fetch(query, *values)
            finally:
                await db.close(timeout=2)

        return _run(ask())

    async def _connected(self) -> asyncpg.Connection:
        return await connect(self.dsn, "sluice after the fact", _PATIENCE)


async def _opened(db: asyncpg.Connection, query: str, *values: object) -> Any:  # Any: untyped there
    return await db.cursor(query, *values)


def _run(asking: Coroutine[Any, Any, _T]) -> _T:  # Any: as `asyncio.run` has it
    try:
        return asyncio.run(asking)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise unreachable(error) from error
