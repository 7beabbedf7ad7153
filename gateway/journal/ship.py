"""Shipping: what a spool holds goes into the central store, batch by batch, each event once.

COPY into temporary tables, INSERT … ON CONFLICT DO NOTHING, and the checkpoint, in one transaction:
a batch is there with its checkpoint or not at all, so whoever dies in between ships it again. An
event that the store has with other content is not overwritten: it goes into quarantine, and
somebody has to look. What was shipped stays in the spool as evidence.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg
import orjson

from gateway.errors import OperatorError
from gateway.journal import postgres_tree
from gateway.journal.postgres_rows import COLUMNS, Row, Rows, of_spool
from gateway.journal.postgres_tree import full_between
from gateway.journal.reader import USAGE_COLUMNS, identity
from gateway.journal.schema import FORMAT, connect_reading

BATCH = 4_000

_SPAN = "WHERE seq > ? AND seq <= ? ORDER BY seq"
_AUDIT = f"SELECT seq, request_id, body, prev_hash, hash FROM audit_event {_SPAN}"
_DECISION = f"SELECT seq, request_id, body FROM decision {_SPAN}"
_USAGE = f"SELECT seq, {USAGE_COLUMNS} FROM usage_event {_SPAN}"
_CHARGED = (
    f"SELECT tenant, release, place, seq, event_id, time, cells FROM charged_cell {_SPAN}, place"
)
_KEYED = f"SELECT * FROM idempotency {_SPAN}"

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_NEW = "INSERT INTO journal VALUES ($1, $2, 'spool', $3, $4) ON CONFLICT DO NOTHING"
_LAST = "SELECT seq, hash FROM checkpoint WHERE journal_id = $1 ORDER BY seq DESC LIMIT 1"
_NOTED = "SELECT coalesce(max(size), 0) FROM note WHERE journal_id = $1"
_CHECKPOINT = "INSERT INTO checkpoint (journal_id, seq, hash) VALUES ($1, $2, $3)"
_STAGE = "".join(
    f"CREATE TEMP TABLE IF NOT EXISTS staged_{table} (LIKE {table}) ON COMMIT DELETE ROWS;"
    for table in COLUMNS
)
_DIFFERENT = """
WITH clash AS (
  SELECT s.*, u.payload_hash AS stored_hash, 'payload_differs' AS reason
  FROM staged_usage_event s JOIN usage_event u ON u.event_id = s.event_id
  WHERE u.payload_hash <> s.payload_hash
  UNION ALL
  SELECT s.*, u.payload_hash, 'request_recorded'
  FROM staged_usage_event s JOIN usage_event u ON u.request_id = s.request_id
  WHERE u.event_id <> s.event_id
)
INSERT INTO quarantine (journal_id, seq, event_id, reason, stored_hash, offered_hash, offered)
SELECT journal_id, seq, event_id, reason, stored_hash, payload_hash, json_build_object(
  'usage', to_json(clash),
  'charged', (SELECT json_agg(c) FROM staged_charged_cell c WHERE c.event_id = clash.event_id)
)::text FROM clash
RETURNING event_id
"""
_FORKED = """
INSERT INTO quarantine (journal_id, seq, reason, stored_hash, offered_hash, offered)
SELECT s.journal_id, s.seq, 'chain_forked', a.hash, s.hash, s.body
FROM staged_audit_event s JOIN audit_event a USING (journal_id, seq) WHERE a.hash <> s.hash
RETURNING seq
"""
_CELLS = (
    f"INSERT INTO charged_cell ({', '.join(COLUMNS['charged_cell'])})"
    f" SELECT {', '.join(COLUMNS['charged_cell'])} FROM staged_charged_cell"
    " WHERE NOT event_id = ANY($1::uuid[]) ON CONFLICT DO NOTHING"
)
_BURY = """
INSERT INTO quarantine (journal_id, seq, event_id, reason, offered_hash, offered)
VALUES ($1, $2, $3, 'refused_by_store', $4, $5)
"""
_FAULTY = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a round of shipping did. `upto` is the last event shipped, `head` the spool's last."""

    journal_id: str
    upto: int
    head: int
    new: int = 0
    duplicate: int = 0
    quarantined: int = 0

    def plus(self, later: Shipped) -> Shipped:
        """This and a later batch of the same spool."""
        return Shipped(
            self.journal_id,
            later.upto,
            later.head,
            self.new + later.new,
            self.duplicate + later.duplicate,
            self.quarantined + later.quarantined,
        )


_Kept: TypeAlias = tuple[tuple[int, int], Rows | None]
_NOTHING_KEPT: _Kept = ((0, 0), None)


class Source:
    """A spool as the shipper reads it; the server may be writing it. While a batch is stored, a
    thread reads the next one; nothing else may be asked before `rest`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect_reading(path, shared=True)
        self.journal_id, self.created = identity(self._db)
        self._span = (0, 0)
        self._ahead: asyncio.Task[Rows] | None = None
        self._kept: _Kept = _NOTHING_KEPT

    def head(self) -> int:
        """The last event's number."""
        return int(self._db.execute("SELECT max(seq) FROM audit_event").fetchone()[0] or 0)

    def time_at(self, seq: int) -> str | None:
        """When an event was stamped."""
        row = self._db.execute("SELECT time FROM audit_event WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else str(row[0])

    def hash_at(self, seq: int) -> bytes | None:
        """The chain's hash at an event."""
        row = self._db.execute("SELECT hash FROM audit_event WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else bytes(row[0])

    def rows(self, after: int, upto: int) -> Rows:
        """Events `after` to `upto` as rows of the central store; one moment for all tables."""
        self._db.execute("BEGIN")
        try:
            found = [self._read(query, after, upto) for query in _QUERIES]
        finally:
            self._db.execute("COMMIT")
        return of_spool(self.journal_id, found)

    def read_ahead(self, after: int, upto: int) -> None:
        """Begin to read a batch, if there is one."""
        if after < upto:
            self._span = (after, upto)
            self._ahead = asyncio.create_task(asyncio.to_thread(self.rows, after, upto))

    async def rest(self) -> None:
        """Wait for what is being read."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            self._kept = (self._span, await ahead)

    def taken(self, after: int, upto: int) -> Rows:
        """A batch: the one read ahead, if it is that one."""
        (span, rows), self._kept = self._kept, _NOTHING_KEPT
        return self.rows(after, upto) if rows is None or span != (after, upto) else rows

    def body_at(self, seq: int) -> tuple[str, str]:
        """Event id and audit event of a number, to be shown as they are."""
        (body,) = self._db.execute("SELECT body FROM audit_event WHERE seq = ?", (seq,)).fetchone()
        return str(orjson.loads(body)["event_id"]), str(body)

    def tree(
        self, after: int, upto: int
    ) -> tuple[list[tuple[int, int, int, bytes]], list[tuple[int, str]]]:
        """Tiles and notes of the tree that came with these events."""
        return full_between(self._db, after, upto)

    def close(self) -> None:
        self._db.close()

    def _read(self, query: str, after: int, upto: int) -> Sequence[Row]:
        return self._db.execute(query, (after, upto)).fetchall()


_QUERIES = (_AUDIT, _DECISION, _USAGE, _CHARGED, _KEYED)


async def ship(
    db: asyncpg.Connection,
    source: Source,
    node: str,
    batch: int = BATCH,
    enough: Callable[[], bool] = lambda: False,
) -> Shipped:
    """Ship everything the spool holds now, or until it is `enough`."""
    await db.execute(_STAGE)
    await db.execute(_NEW, source.journal_id, node, source.created, FORMAT)
    try:
        done = await ship_batch(db, source, batch)
        while done.upto < done.head and not enough():
            done = done.plus(await ship_batch(db, source, batch))
    finally:
        await source.rest()
    return done


async def ship_batch(db: asyncpg.Connection, source: Source, most: int) -> Shipped:
    """Ship the next batch; `ship` has prepared the connection. An event that the store cannot hold
    is looked for by halves and put into quarantine; its neighbours are shipped."""
    while True:
        try:
            async with db.transaction():
                return await _ship(db, source, most)
        except _FAULTY:
            if most == 1:
                async with db.transaction():
                    return await _bury(db, source)
            most = max(1, most // 2)


async def _ship(db: asyncpg.Connection, source: Source, most: int) -> Shipped:
    after = await _stands(db, source)
    head = source.head()
    upto = min(head, after + most)
    if upto == after:
        await _ship_tree(db, source, upto)
        return Shipped(source.journal_id, after, head)
    rows, end = source.taken(after, upto), source.hash_at(upto)
    await _ship_tree(db, source, upto)  # reads the spool: before a thread reads ahead in it
    source.read_ahead(upto, min(head, upto + most))
    for table, found in rows.tables():
        if found:
            names = list(COLUMNS[table])
            await db.copy_records_to_table(f"staged_{table}", records=found, columns=names)
    quarantined = await _store(db, rows)
    await db.execute(_CHECKPOINT, source.journal_id, upto, end)
    new, offered = quarantined.new, len(rows.usage)
    return Shipped(
        source.journal_id, upto, head, new, offered - new - quarantined.usage, quarantined.all
    )


async def _ship_tree(db: asyncpg.Connection, source: Source, upto: int) -> None:
    """Tiles and notes since the last note; a note is made after its events, so it may come late."""
    noted = await db.fetchval(_NOTED, source.journal_id)
    tiles, found = source.tree(noted, upto)
    if found:
        await postgres_tree.keep(db, source.journal_id, tiles, found)


@dataclass(frozen=True, slots=True)
class _Stored:
    """How many usage events were new, and how many things went into quarantine."""

    new: int
    usage: int
    all: int


async def _store(db: asyncpg.Connection, rows: Rows) -> _Stored:
    """From the temporary tables into the tables."""
    fresh = await _insert(db, "audit_event")
    forked = 0 if fresh == len(rows.audit) else len(await db.fetch(_FORKED))
    await _insert(db, "decision")
    new = await _insert(db, "usage_event")
    different = [] if new == len(rows.usage) else [row[0] for row in await db.fetch(_DIFFERENT)]
    if rows.charged:
        await db.execute(_CELLS, different)
    if rows.keyed:
        await _insert(db, "idempotency")
    return _Stored(new, len(different), len(different) + forked)


async def _insert(db: asyncpg.Connection, table: str) -> int:
    """How many rows were new."""
    names = ", ".join(COLUMNS[table])
    done = await db.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM staged_{table} ON CONFLICT DO NOTHING"
    )
    return int(done.rpartition(" ")[2])


async def _stands(db: asyncpg.Connection, source: Source) -> int:
    """The last event shipped. One shipper at a time for a spool, and the spool it was."""
    await source.rest()
    await db.execute(_LOCK, source.journal_id)
    last = await db.fetchrow(_LAST, source.journal_id)
    if last is None:
        return 0
    if source.hash_at(last["seq"]) != last["hash"]:
        raise OperatorError(
            "spool_differs",
            f"{source.path.name} does not hold event {last['seq']} as it was shipped: it was cut,"
            " rewritten or replaced. Run `sluice audit verify` on it; nothing was shipped.",
        )
    return int(last["seq"])


async def _bury(db: asyncpg.Connection, source: Source) -> Shipped:
    """Put the next event into quarantine and pass it by."""
    after = await _stands(db, source)
    seq = after + 1
    event_id, body = source.body_at(seq)
    found = source.hash_at(seq)
    await db.execute(_BURY, source.journal_id, seq, event_id, found, body)
    await db.execute(_CHECKPOINT, source.journal_id, seq, found)
    return Shipped(source.journal_id, seq, source.head(), quarantined=1)


def node_of(path: Path) -> str:
    """The node whose journal a file is, by its name."""
    name = path.stem
    return name.removeprefix("journal-") if name.startswith("journal-") else "main"


def is_journal(path: Path) -> bool:
    """Whether a file is a journal at all."""
    try:
        connect_reading(path).close()
    except (OperatorError, sqlite3.Error):
        return False
    return True
