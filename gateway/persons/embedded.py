"""The embedded person source: a SQLite file of its own, opened for reading only.

A load writes a new file and moves it into place, so every connection sees one whole load.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import NullPool

from gateway.persons.port import MOST_ROWS, Found, Known, PersonSourceDown, Row, Statement

READERS = 4
_LOAD = sa.text("SELECT id FROM load")
_KNOWN = sa.text("SELECT name_mac, died, born FROM person WHERE psn_no = :subject")
_Made = TypeVar("_Made")


def reading_engine(path: Path) -> sa.Engine:
    """Connections that cannot write; each sees the file that lies there when it is opened."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)


@dataclass(frozen=True)
class EmbeddedSource:
    """The source in one file."""

    path: Path
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(READERS, "persons")
    )

    @cached_property
    def _engine(self) -> sa.Engine:
        """One for all reads, for the statements it has compiled; every read opens the file anew."""
        return reading_engine(self.path)

    async def known(self, subject: str) -> Known | None:
        def work(db: sa.Connection) -> Known | None:
            row = db.execute(_KNOWN, {"subject": subject}).first()
            if row is None:
                return None
            died, born = (None if day is None else date.fromisoformat(day) for day in row[1:])
            return Known(row[0], died, born)

        return await self._in_thread(work)

    async def read(self, subject: str, statements: Mapping[str, Statement]) -> Found:
        def work(db: sa.Connection) -> Found:
            rows = {name: _rows(db, one) for name, one in statements.items()}
            return Found(str(db.execute(_LOAD).scalar_one()), rows)

        return await self._in_thread(work)

    async def load(self) -> str:
        return await self._in_thread(lambda db: str(db.execute(_LOAD).scalar_one()))

    async def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[sa.Connection], _Made]) -> _Made:
        def run() -> _Made:
            try:
                with self._engine.connect() as db:  # one read transaction: one load
                    return work(db)
            except (exc.SQLAlchemyError, sqlite3.Error) as error:
                raise PersonSourceDown(type(error).__name__) from None

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


def _rows(db: sa.Connection, statement: Statement) -> tuple[Row, ...]:
    found = db.execute(statement.limit(MOST_ROWS + 1)).mappings().all()
    if len(found) > MOST_ROWS:
        raise PersonSourceDown("too many rows")
    return tuple(dict(row) for row in found)
