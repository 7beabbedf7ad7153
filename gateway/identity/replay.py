"""The replay guard: every client assertion is accepted once, also across processes and restarts.

A use is a row; whoever inserted it was first. Many uses share one transaction (`first_uses`), or
one use joins a transaction that writes anyway (`first_use_in`); either way nothing may be answered
before that transaction is on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.engine import write_connection
from gateway.db.tables import AssertionJtiRow
from gateway.identity.assertion import Assertion

_SWEEP_EVERY = timedelta(seconds=60)


class ReplayGuard:
    """Remembers used assertions durably until they would be refused as expired."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert_new = _insert_new(engine.dialect.name)
        self._swept: datetime | None = None

    def first_use(self, assertion: Assertion, now: datetime) -> bool:
        """True exactly once per client and jti; it is on disk before it is said."""
        return self.first_uses([assertion], now)[0]

    def first_uses(self, assertions: Sequence[Assertion], now: datetime) -> list[bool]:
        """The same for many, in one transaction; of two alike the one named first is first."""
        with write_connection(self._engine) as connection:
            won = self._insert(connection, assertions)
            self._sweep(connection, now)
        firsts = []
        for each in assertions:
            digest = _digest(each)
            firsts.append(digest in won)
            won.discard(digest)
        return firsts

    def first_use_in(self, connection: sa.Connection, assertion: Assertion) -> bool:
        """The same as part of the caller's transaction, true once that is on disk."""
        return bool(self._insert(connection, [assertion]))

    def _insert(self, connection: sa.Connection, assertions: Sequence[Assertion]) -> set[str]:
        """Digests that were not there before."""
        rows = {
            digest: {"digest": digest, "expires_at": each.expires}
            for each in assertions
            for digest in (_digest(each),)
        }
        return set(connection.scalars(self._insert_new, list(rows.values())))

    def _sweep(self, connection: sa.Connection, now: datetime) -> None:
        if self._swept is None or now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            connection.execute(sa.delete(AssertionJtiRow).where(AssertionJtiRow.expires_at < now))


def _insert_new(dialect: str) -> sa.Executable:
    """Insert rows unless they are there already, and name those that were not; both engines can."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(AssertionJtiRow).on_conflict_do_nothing().returning(AssertionJtiRow.digest)


def _digest(assertion: Assertion) -> str:
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    named = f"{len(assertion.client_id)}:{assertion.client_id}{assertion.jti}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
