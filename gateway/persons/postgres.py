"""The person source in PostgreSQL: a schema of its own and a role that can only read it.

Besides the conditions that the policy states, the database itself shows a connection no row but
those of the one person it named beforehand (row-level security): a mistake in a statement cannot
read another person. A load is a schema built beside the old one and renamed in one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from gateway.persons.port import MOST_ROWS, Found, Known, PersonSourceDown, Row, Statement

SCHEMA: Final = "sluice_person"
NAMED: Final = "sluice.subject"
"""The setting by which a transaction names whom it reads."""
PATIENCE: Final = 5.0
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def compiled(statement: Statement) -> tuple[str, Sequence[Any]]:
    """A statement as asyncpg takes it."""
    made = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    places = getattr(made, "positiontup", None) or ()
    return str(made), [made.params[name] for name in places]


class PostgresSource:
    """The source behind a DSN of the reading role; connects at the first question."""

    def __init__(self, dsn: str, most: int = 8) -> None:
        self._dsn, self._most = dsn, most
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def known(self, subject: str) -> Known | None:
        text = "SELECT name_mac, died, born FROM person WHERE psn_no = $1"
        _, (rows,) = await self._ask(subject, [(text, [subject])])
        return Known(*rows[0]) if rows else None

    async def read(self, subject: str, statements: Mapping[str, Statement]) -> Found:
        asked = [compiled(one.limit(MOST_ROWS + 1)) for one in statements.values()]
        load, answers = await self._ask(subject, asked)
        if any(len(rows) > MOST_ROWS for rows in answers):
            raise PersonSourceDown("too many rows")
        told = (tuple(_row(one) for one in rows) for rows in answers)
        return Found(load, dict(zip(statements, told, strict=True)))

    async def load(self) -> str:
        load, _ = await self._ask("", [])
        return load

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def _ask(
        self, subject: str, asked: Sequence[tuple[str, Sequence[Any]]]
    ) -> tuple[str, list[list[asyncpg.Record]]]:
        """The load and the answers, in one transaction that sees this person alone."""
        try:
            pool = await self._connected()
            async with (
                pool.acquire(timeout=PATIENCE) as db,
                db.transaction(isolation="repeatable_read", readonly=True),
            ):
                await db.execute("SELECT set_config($1, $2, true)", NAMED, subject)
                load = str(await db.fetchval("SELECT id FROM load"))
                return load, [await db.fetch(text, *values) for text, values in asked]
        except _TROUBLE as error:
            raise PersonSourceDown(type(error).__name__) from None

    async def _connected(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._most,
                    timeout=PATIENCE,
                    command_timeout=PATIENCE,
                    statement_cache_size=0,  # a load renames the schema under the connection
                    server_settings={"search_path": SCHEMA, "application_name": "sluice persons"},
                )
            return self._pool


def _row(record: asyncpg.Record) -> Row:
    return dict(record)
