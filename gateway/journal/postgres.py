"""Group commit straight into PostgreSQL: one statement a batch, in a chain of this node's own.

Synchronous and used by one thread at a time, like the spool; the event loop inside is never shared.
A batch is one statement, so it stands or falls whole. Whatever goes wrong with the connection is
`StoreDown`: the same entries go to the spool then, under the same event ids, and are counted once
even if this store has them as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg

from gateway.errors import OperatorError
from gateway.journal import postgres_tree
from gateway.journal.entry import Entry
from gateway.journal.ground import Ground
from gateway.journal.port import JournalConflict, JournalRejected, KeyTaken
from gateway.journal.postgres_rows import COLUMNS, Rows, of_entries
from gateway.journal.postgres_schema import SCHEMA
from gateway.journal.postgres_tree import PostgresTree
from gateway.journal.seal import genesis, seal, seal_all
from gateway.journal.spool import Head, RestsOnNothing, after, not_free_after_all
from gateway.tlog.tiles import Tile
from metering.usage import time_text

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds a batch may take before it goes to the spool instead."""
# One entry's own fault: a unique key, a check, or a value that a column cannot hold.
_FAULTY = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    TypeError,
    ValueError,
    OverflowError,
)


DIRECT = ".direct"
"""What the names of chains written straight into the store end with."""


class StoreDown(Exception):
    """Nothing can be promised; the batch may be in the store all the same."""


class _ChainMovedError(Exception):
    """A transaction of an earlier connection was committed after all."""


def _insert(table: str, first: int) -> str:
    columns = COLUMNS[table]
    arrays = (f"${n}::{kind}[]" for n, kind in enumerate(columns.values(), start=first))
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({', '.join(arrays)})"


def _statement() -> str:
    """Every table in one statement: one round trip, one transaction."""
    parts, first = [], 1
    for table, columns in COLUMNS.items():
        parts.append(f"into_{table} AS ({_insert(table, first)})")
        first += len(columns)
    return f"WITH {', '.join(parts)} SELECT 1"


_APPEND = _statement()
_EXPIRED = "DELETE FROM idempotency WHERE (tenant, client, key) = ($1, $2, $3) AND expires <= now()"
_HEAD = "SELECT seq, hash, time FROM audit_event WHERE journal_id = $1 ORDER BY seq DESC LIMIT 1"
_HASH = "SELECT hash FROM audit_event WHERE journal_id = $1 AND seq = $2"
_NEW = "INSERT INTO journal VALUES ($1, $2, 'direct', $3, 1) ON CONFLICT DO NOTHING"
_MADE = "SELECT created FROM journal WHERE journal_id = $1"
_RECORDED = "SELECT seq, body, prev_hash FROM audit_event WHERE journal_id = $1 AND request_id = $2"
_ELSEWHERE = "SELECT 1 FROM usage_event WHERE request_id = $2 AND journal_id <> $1"
_KEY = "SELECT event_id::text FROM idempotency WHERE (tenant, client, key) = ($1, $2, $3)"
_MAY_CHANGE = """
SELECT bool_or(has_table_privilege(c.oid, p)) FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE',
  'TRUNCATE']) p WHERE c.relnamespace = 'sluice_journal'::regnamespace AND c.relkind = 'r'
  AND NOT (c.relname = 'idempotency' AND p = 'DELETE')
"""


async def connect(dsn: str, name: str, patience: float = PATIENCE) -> asyncpg.Connection:
    """A connection on which a commit is a sync; raises `OSError` or `asyncpg` errors."""
    settings = {
        "application_name": name[:60],
        "search_path": SCHEMA,
        "synchronous_commit": "on",
        "timezone": "UTC",
        "jit": "off",
    }
    return await asyncpg.connect(
        dsn, timeout=patience, command_timeout=patience, server_settings=settings
    )


async def check_rights(db: asyncpg.Connection) -> None:
    """Refuse a server that does not sync, and a role that could rewrite the past."""
    if await db.fetchval("SHOW fsync") != "on":
        raise OperatorError(
            "journal_not_durable", "The journal's PostgreSQL runs with fsync off; switch it on."
        )
    if await db.fetchval("SELECT to_regclass('sluice_journal.note')") is None:
        raise OperatorError(
            "journal_no_schema",
            "The journal's PostgreSQL lacks tables: run `sluice journal init`, also after an"
            " upgrade.",
        )
    if await db.fetchval(_MAY_CHANGE):
        raise OperatorError(
            "journal_role",
            "The role of the journal's DSN may change or delete events: use the one that"
            " `sluice journal init --role` made, not the owner's.",
        )


def direct_id(spool_id: str) -> str:
    """The chain that the holder of a spool writes into the store: no two processes share one."""
    return f"{spool_id}{DIRECT}"


class DirectStore:
    """The central store as one process's writer sees it. `connect` before anything else."""

    def __init__(self, dsn: str, node: str, spool_id: str, created: str, ground: Ground) -> None:
        self.journal_id = direct_id(spool_id)
        self._dsn, self._node, self._created, self._ground = dsn, node, created, ground
        self._loop = asyncio.new_event_loop()
        self._db: asyncpg.Connection | None = None
        self.head = Head(0, b"", "")

    def connect(self) -> None:
        """Connect anew and read where the chain stands; raises `StoreDown` or `OperatorError`."""
        self._run(self._connect())

    def append(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Make entries durable in one transaction; per entry, None or why that one was refused."""
        try:
            self._commit(entries)
        except (*_FAULTY, RestsOnNothing):
            return [self._append_one(entry) for entry in entries]
        return [None] * len(entries)

    @property
    def tree(self) -> _OwnTree:
        """The tree over this chain."""
        return _OwnTree(self)

    def hash_at(self, seq: int) -> bytes | None:
        """The chain's hash at an event; None where there is none."""
        found: bytes | None = self._run(self._connected().fetchval(_HASH, self.journal_id, seq))
        return found

    def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Rows of a query."""
        return self._run(self._connected().fetch(query, *values))

    def close(self) -> None:
        """Let go of the connection. Harmless twice."""
        if not self._loop.is_closed():
            self._drop()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    def keep_tree(self, tiles: Sequence[Tile], size: int, note: str) -> None:
        """Store what came to the tree; raises `StoreDown`."""
        rows = [(tile.level, tile.number, tile.size, tile.hashes) for tile in tiles]
        self._run(self._insert_tree(rows, size, note))

    async def _insert_tree(
        self, tiles: Sequence[tuple[int, int, int, bytes]], size: int, note: str
    ) -> None:
        db = self._connected()
        async with db.transaction():
            await postgres_tree.keep(db, self.journal_id, tiles, [(size, note)])

    def _connected(self) -> asyncpg.Connection:
        if self._db is None:
            raise StoreDown
        return self._db

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:  # Any: as `asyncio.run` has it
        try:
            return self._loop.run_until_complete(doing)
        except (*_FAULTY, RestsOnNothing, OperatorError):
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            self._drop()
            raise StoreDown from error

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(Exception):  # it is given up either way
                db.terminate()

    async def _connect(self) -> None:
        self._drop()
        db = await connect(self._dsn, f"sluice {self._node}")
        try:
            await check_rights(db)
            await db.execute(_NEW, self.journal_id, self._node, self._created)
            created = await db.fetchval(_MADE, self.journal_id)
            self.head = await self._read_head(db, created)
        except BaseException:
            db.terminate()
            raise
        self._db = db

    async def _read_head(self, db: asyncpg.Connection, created: str) -> Head:
        row = await db.fetchrow(_HEAD, self.journal_id)
        if row is None:
            return Head(0, genesis(self.journal_id, created), "")
        return Head(row["seq"], row["hash"], time_text(row["time"]))

    def _commit(self, entries: Sequence[Entry]) -> None:
        if not self._ground.bears(entries):
            raise RestsOnNothing
        try:
            self._run(self._insert(entries))
        except _ChainMovedError:
            self.connect()
            self._run(self._insert(entries))
        self._ground.add(entries)

    async def _insert(self, entries: Sequence[Entry]) -> None:
        db = self._connected()
        sealed = seal_all(entries, self.head.seq, self.head.hash)
        rows = of_entries(self.journal_id, entries, sealed)
        try:
            if rows.keyed:
                async with db.transaction():
                    await db.executemany(_EXPIRED, [row[:3] for row in rows.keyed])
                    await db.execute(_APPEND, *_arrays(rows))
            else:
                await db.execute(_APPEND, *_arrays(rows))
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "audit_event_pkey":
                raise _ChainMovedError from error
            raise
        self.head = after(entries, sealed)

    def _append_one(self, entry: Entry) -> Exception | None:
        try:
            self._commit([entry])
        except _FAULTY:
            return self._run(self._why_refused(entry))
        except RestsOnNothing:
            return not_free_after_all()
        return None

    async def _why_refused(self, entry: Entry) -> Exception | None:
        """None when the very same entry is already recorded: repeating it is harmless."""
        db = self._connected()
        if await db.fetchval(_ELSEWHERE, self.journal_id, entry.request_id):
            return JournalConflict()
        row = await db.fetchrow(_RECORDED, self.journal_id, entry.request_id)
        try:
            if row is not None:
                same = seal(entry, row["seq"], row["prev_hash"]).audit[2] == row["body"]
                return None if same else JournalConflict()
            keyed = seal(entry, 1, b"").keyed
        except (TypeError, ValueError, OverflowError):
            return JournalRejected()
        found = None if keyed is None else await db.fetchval(_KEY, *keyed[:3])
        return KeyTaken() if found not in (None, entry.event_id) else JournalRejected()


class _OwnTree(PostgresTree):
    """The tree of the chain that a store's writer writes."""

    def __init__(self, store: DirectStore) -> None:
        super().__init__(store.journal_id, store.fetch)
        self._store = store

    def keep(self, tiles: Sequence[Tile], size: int, note: str) -> None:
        self._store.keep_tree(tiles, size, note)


def _arrays(rows: Rows) -> list[list[object]]:
    """Rows as one array per column, in the order of the statement's parameters."""
    arrays: list[list[object]] = []
    for table, found in rows.tables():
        width = len(COLUMNS[table])
        arrays += (
            [list(c) for c in zip(*found, strict=True)] if found else [[] for _ in range(width)]
        )
    return arrays
