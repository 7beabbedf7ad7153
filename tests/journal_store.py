"""A central store for tests: the journal's schema in a database of its own, and the role that may
only add to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from gateway.journal.postgres_schema import init
from gateway.journal.sqlite import CentralStore, SqliteJournal
from tests.journal_factory import NOON
from tests.postgres_server import PostgresServer

WORD = "only-for-tests"


@dataclass(frozen=True)
class Store:
    """Two ways into one database: as its owner, and as the gateway."""

    server: PostgresServer
    owner: str
    dsn: str
    role: str

    def ask(self, query: str, *values: object, dsn: str = "") -> list[tuple[Any, ...]]:
        """Rows of a query, as the owner unless said."""

        async def ask() -> list[tuple[Any, ...]]:
            db = await asyncpg.connect(
                dsn or self.owner, server_settings={"search_path": "sluice_journal"}
            )
            try:
                return [tuple(row) for row in await db.fetch(query, *values)]
            finally:
                await db.close()

        return asyncio.run(ask())

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.ask(f"SELECT count(*) FROM {table}")[0][0])

    def open(
        self, home: Path, node: str = "main", now: datetime = NOON, **how: Any
    ) -> SqliteJournal:
        """The journal of a node that writes into this store."""
        name = "journal.db" if node == "main" else f"journal-{node}.db"
        store = CentralStore(self.dsn, node)
        return SqliteJournal.open(home / name, home / "keys", now, store=store, **how)


@contextmanager
def store_on(server: PostgresServer) -> Iterator[Store]:
    """A database with the schema, dropped afterwards."""
    with server.database() as owner:
        role = f"sluice_app_{uuid4().hex[:8]}"
        asyncio.run(init(owner, role, WORD))
        database = owner.rpartition("/")[2]
        try:
            yield Store(server, owner, server.dsn(database, role, WORD), role)
        finally:
            server.sql(f"DROP OWNED BY {role}", database=database)
            server.sql(f"DROP ROLE {role}")


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[Store]:
    with store_on(postgres) as found:
        yield found


def record_all(journal: SqliteJournal, entries: Sequence[object]) -> list[object]:
    """Record many at once; per entry None or the error."""

    async def all_at_once() -> list[object]:
        records = (journal.record(entry) for entry in entries)  # type: ignore[arg-type]  # entries
        return list(await asyncio.gather(*records, return_exceptions=True))

    return asyncio.run(all_at_once())
