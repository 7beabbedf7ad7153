"""The replay guard: every client assertion is accepted once, also across processes and restarts.

A use is a row; whoever inserted it was first. Many uses share one transaction (`first_uses`), or
one use joins a transaction that writes anyway (`first_use_in`); either way nothing may be answered
before that transaction is on disk.

This is the one statement that every token needs, so SQLite is asked by its driver, row by row,
which costs a fifth of a statement built for many rows; a remote database gets one statement.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.engine import write_connection
from gateway.db.tables import AssertionJtiRow
from gateway.errors import Unavailable
from gateway.identity.assertion import Assertion

_SWEEP_EVERY = timedelta(seconds=60)
_BY_DRIVER = "INSERT INTO assertion_jti (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING"

Uses: TypeAlias = Mapping[str, datetime]
"""Digests of assertions, and until when they are remembered."""
Insert: TypeAlias = Callable[[sa.Connection, Uses], set[str]]
"""Writes uses down; returns those that were not there before."""


class ReplayGuard:
    """Remembers used assertions durably until they would be refused as expired."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        sqlite_here = engine.dialect.name == "sqlite"
        self._insert: Insert = insert_by_driver if sqlite_here else insert_by_statement
        self._swept: datetime | None = None

    def first_use(self, assertion: Assertion, now: datetime) -> bool:
        """True exactly once per client and jti; it is on disk before it is said."""
        return self.first_uses([assertion], now)[0]

    def first_uses(self, assertions: Sequence[Assertion], now: datetime) -> list[bool]:
        """The same for many, in one transaction; of two alike the one named first is first."""
        digests = [_digest(each) for each in assertions]
        expiries = (each.expires for each in assertions)
        uses = dict(zip(digests, expiries, strict=True))
        with write_connection(self._engine) as connection:
            won = self._insert(connection, uses)
            self._sweep(connection, now)
        firsts = []
        for digest in digests:
            firsts.append(digest in won)
            won.discard(digest)
        return firsts

    def first_use_in(self, connection: sa.Connection, assertion: Assertion) -> bool:
        """The same as part of the caller's transaction, true once that is on disk."""
        return bool(self._insert(connection, {_digest(assertion): assertion.expires}))

    def _sweep(self, connection: sa.Connection, now: datetime) -> None:
        if self._swept is None or now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            connection.execute(sa.delete(AssertionJtiRow).where(AssertionJtiRow.expires_at < now))


def insert_by_driver(connection: sa.Connection, uses: Uses) -> set[str]:
    """By SQLite's own driver, inside the transaction that `connection` has begun."""
    cursor = connection.connection.cursor()
    try:
        return {
            digest
            for digest, expires in uses.items()
            if cursor.execute(_BY_DRIVER, (digest, _stored(expires))).rowcount
        }
    except sqlite3.Error as error:
        raise Unavailable("identity_unavailable", "") from error
    finally:
        cursor.close()


def insert_by_statement(connection: sa.Connection, uses: Uses) -> set[str]:
    """One statement for many rows; both engines can."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    adding = insert(AssertionJtiRow).on_conflict_do_nothing().returning(AssertionJtiRow.digest)
    rows = [{"digest": digest, "expires_at": expires} for digest, expires in uses.items()]
    return set(connection.scalars(adding, rows))


def _stored(instant: datetime) -> str:
    """As the column keeps it on SQLite: UTC, to the microsecond, without naming the zone."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _digest(assertion: Assertion) -> str:
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    named = f"{len(assertion.client_id)}:{assertion.client_id}{assertion.jti}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
