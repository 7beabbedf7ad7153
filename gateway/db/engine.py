"""Engine and transactions of the operational database: SQLite in WAL by default, PostgreSQL beside.

`reading` sees one consistent state; `writing` takes the write lock at its start, commits at its
end and rolls back on any exception. Both are short and synchronous: call them in a worker thread
from asynchronous code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.orm import Session

from gateway.db.postgres import WRITE, open_postgres, snapshot
from gateway.errors import Unavailable
from gateway.tracing import span, tracing

_GONE = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)
"""What a database says that cannot be used now: gone, locked, full, or only readable after a
failover."""


def sqlite_url(path: Path) -> str:
    """Database URL of a SQLite file."""
    return f"sqlite:///{path}"


def open_engine(url: str) -> sa.Engine:
    """Engine for the URL; a SQLite engine is set to WAL, foreign keys, durable commits."""
    if url.startswith("sqlite"):
        engine = sa.create_engine(url, pool_size=8, max_overflow=8)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = open_postgres(url)
    if tracing():
        event.listen(engine, "do_execute", _traced)
    return engine


def _traced(
    cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext
) -> bool:
    """Executes one statement inside a span that says what it does, not to what: True, done."""
    dialect = context.dialect
    facts = {"db__system__name": dialect.name, "db__operation__name": statement.split(None, 1)[0]}
    with span("database", **facts):
        dialect.do_execute(cursor, statement, parameters, context)
    return True


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not open transactions by itself: `_begin_sqlite` does, with the right lock.
    connection.isolation_level = None
    # The timeout comes first: switching a new file to WAL already needs a lock to wait for.
    connection.execute("PRAGMA busy_timeout=10000")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that starts to write can fail at once with SQLITE_BUSY; this one waits.
    immediate = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _unavailable() -> Iterator[None]:
    """A database that cannot be used now (locked, full, gone) is one error, whoever asks."""
    try:
        yield
    except _GONE as error:
        raise Unavailable("identity_unavailable", "") from error


@contextmanager
def reading(engine: sa.Engine) -> Iterator[Session]:
    """A session that only reads."""
    seeing = engine if engine.dialect.name == "sqlite" else snapshot(engine)
    with _unavailable(), Session(seeing) as session:
        yield session


def for_writing(engine: sa.Engine) -> sa.Engine:
    """The engine with transactions that take the write lock at their start."""
    return engine.execution_options(**{WRITE: True})


@contextmanager
def writing(engine: sa.Engine) -> Iterator[Session]:
    """A session whose changes become durable together, or not at all."""
    with _unavailable(), Session(for_writing(engine)) as session, session.begin():
        yield session


@contextmanager
def write_connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Like `writing`, without object mapping: for the few statements that run per request."""
    writable = for_writing(engine)
    with _unavailable(), writable.connect() as connection, connection.begin():
        yield connection
