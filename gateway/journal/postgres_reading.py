"""A chain as the central store has it, event by event, for the auditor.

An event may have come by two chains (its commit's outcome was unknown); usage and cells are stored
once, so they are found by the request and not by the chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from gateway.journal.archived import Shelf, is_stub
from gateway.journal.postgres import connect
from gateway.journal.postgres_schema import unreachable
from gateway.journal.reader import USAGE_COLUMNS, ChargedRow, Recorded
from gateway.journal.tree import Kept
from metering.usage import FIELDS, time_text

T = TypeVar("T")

BATCH = 2_000
PATIENCE = 120.0
_USAGE = ", ".join(f"u.{column.strip()}" for column in USAGE_COLUMNS.split(","))
_EVENTS = f"""
SELECT a.seq, a.request_id AS request, a.body, a.prev_hash, a.hash, d.body AS decision,
  d.request_id AS decided, u.seq IS NOT NULL AS used, {_USAGE}
FROM audit_event a LEFT JOIN decision d USING (journal_id, seq)
  LEFT JOIN usage_event u ON u.request_id = a.request_id
WHERE a.journal_id = $1 AND a.seq > $2 ORDER BY a.seq LIMIT {BATCH}
"""
_CELLS = """
SELECT a.seq, c.tenant, c.release, c.place, c.cells
FROM audit_event a JOIN usage_event u ON u.request_id = a.request_id
  JOIN charged_cell c ON (c.journal_id, c.seq) = (u.journal_id, u.seq)
WHERE a.journal_id = $1 AND a.seq > $2 AND a.seq <= $3 ORDER BY a.seq, c.place
"""
_SEGMENTS = """
SELECT r.first, r.last, r.name, r.sha256, r.expired IS NOT NULL,
  encode(f.prev_hash, 'hex'), encode(l.hash, 'hex')
FROM archive r LEFT JOIN audit_event f ON (f.journal_id, f.seq) = (r.journal_id, r.first)
  LEFT JOIN audit_event l ON (l.journal_id, l.seq) = (r.journal_id, r.last)
WHERE r.journal_id = $1 ORDER BY r.first
"""
_TILES = "SELECT level, number, hashes FROM tile WHERE journal_id = $1"
_NOTES = "SELECT size, text FROM note WHERE journal_id = $1"
_NEWEST = "SELECT max(time) FROM audit_event WHERE journal_id = $1"
_LAST = "SELECT coalesce(max(seq), 0) FROM audit_event WHERE journal_id = $1"
_JOURNALS = "SELECT journal_id, node, kind, created FROM journal ORDER BY node, kind, journal_id"
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True)
class Chain:
    """One journal in the store: which node's, and how it came there."""

    journal_id: str
    node: str
    kind: str
    created: str


class ChainReader:
    """The store as the auditor reads it. For threads without an event loop; close it."""

    def __init__(self, dsn: str, archives: Path | None = None) -> None:
        """`archives`: the folder that chains' archives lie in (see `archive_of`)."""
        self._archives = archives
        self._loop = asyncio.new_event_loop()
        try:
            self._db = self._run(connect(dsn, "sluice audit", PATIENCE))
        except BaseException:
            self._loop.close()
            raise

    def chains(self) -> list[Chain]:
        """Every journal in the store."""
        return [Chain(*row) for row in self._run(self._db.fetch(_JOURNALS))]

    def last(self, journal_id: str) -> int:
        """The number of a chain's last event here."""
        return int(self._run(self._db.fetchval(_LAST, journal_id)))

    def recorded(self, journal_id: str) -> Iterator[Recorded]:
        """All events of a chain in order, joined to what was recorded with them."""
        after, shelf = 0, Shelf(archive_of(self._archives or Path(), journal_id))
        while rows := self._run(self._db.fetch(_EVENTS, journal_id, after)):
            span = (journal_id, after, rows[-1]["seq"])
            cells = self._run(self._db.fetch(_CELLS, *span))
            charged = {seq: tuple(found) for seq, found in groupby(cells, lambda row: row["seq"])}
            for row in rows:
                event = _recorded(row, charged.get(row["seq"], ()))
                yield _whole(event, shelf) if is_stub(event.body) else event
            after = rows[-1]["seq"]

    def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Rows of a query."""
        found: list[asyncpg.Record] = self._run(self._db.fetch(query, *values))
        return found

    def segments(self, journal_id: str) -> list[asyncpg.Record]:
        """What of a chain is archived: first, last, name, sha256, whether its file was removed, and
        the links of its first and last event."""
        if self._run(self._db.fetchval("SELECT to_regclass('archive')")) is None:
            return []  # a schema of before there were archives
        found: list[asyncpg.Record] = self._run(self._db.fetch(_SEGMENTS, journal_id))
        return found

    def tree(self, journal_id: str) -> Kept:
        """What the store keeps of a chain's tree."""
        tiles = self._run(self._db.fetch(_TILES, journal_id))
        noted = self._run(self._db.fetch(_NOTES, journal_id))
        kept = {(row["level"], row["number"]): bytes(row["hashes"]) for row in tiles}
        return Kept(kept, {row["size"]: row["text"] for row in noted})

    def newest(self, journal_id: str) -> datetime | None:
        """When the last event of a chain was stamped."""
        moment: datetime | None = self._run(self._db.fetchval(_NEWEST, journal_id))
        return moment

    def close(self) -> None:
        if not self._loop.is_closed():
            self._run(self._db.close())
            self._loop.close()

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:  # Any: as asyncio has it
        try:
            return self._loop.run_until_complete(doing)
        except _TROUBLE as error:
            raise unreachable(error) from error


def _recorded(row: asyncpg.Record, cells: tuple[asyncpg.Record, ...]) -> Recorded:
    charged = tuple(
        ChargedRow(seq, tenant, release, place, int.from_bytes(bits, "big"))
        for seq, tenant, release, place, bits in cells
    )
    return Recorded(
        row["seq"],
        row["request"],
        row["body"],
        row["prev_hash"],
        row["hash"],
        row["decision"],
        row["decided"],
        _used(row) if row["used"] else None,
        charged,
    )


def _whole(event: Recorded, shelf: Shelf) -> Recorded:
    """An archived event with what lies in its file."""
    body, decision = shelf.whole(event.seq, event.body, event.decision)
    return replace(event, body=body, decision=decision)


def archive_of(folder: Path, journal_id: str) -> Path:
    """Where a chain's archive lies."""
    return folder / f"{journal_id}.archive"


def _used(row: asyncpg.Record) -> dict[str, str | int | None]:
    """The usage event as it was hashed."""
    used = dict(zip(FIELDS, tuple(row.values())[8:], strict=True))
    repeat = used["repeat_of"]
    return used | {
        "event_id": str(used["event_id"]),
        "repeat_of": None if repeat is None else str(repeat),
        "time": time_text(used["time"]),
    }
