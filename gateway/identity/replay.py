"""The replay guard: every client assertion is accepted once, also across processes and restarts.

Group commit: while one thread waits for the disk, the others queue behind it and the next of them
writes all that queued up in one transaction. An answer is given only after its row is durable.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.engine import write_connection
from gateway.db.tables import AssertionJtiRow
from gateway.errors import Unavailable
from gateway.identity.assertion import Assertion

_SWEEP_EVERY = timedelta(seconds=60)


@dataclass(eq=False)
class _Use:
    """One use of an assertion, waiting for its answer."""

    digest: str
    expires_at: datetime
    first: bool | None = None


class ReplayGuard:
    """Remembers used assertions durably until they would be refused as expired."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert_new = _insert_new(engine.dialect.name)
        self._swept: datetime | None = None
        self._queued: list[_Use] = []
        self._queueing = threading.Lock()
        self._writing = threading.Lock()

    def first_use(self, assertion: Assertion, now: datetime) -> bool:
        """True exactly once per client and jti; the answer is on disk before it is given."""
        use = _Use(_digest(assertion), assertion.expires)
        with self._queueing:
            self._queued.append(use)
        with self._writing:
            taken = self._take() if use in self._queued else []
            if taken:
                self._write(taken, now)
        if use.first is None:
            # The thread that wrote for us failed; its own caller learns why.
            raise Unavailable("replay_guard", "The token endpoint cannot write; try again.")
        return use.first

    def _take(self) -> list[_Use]:
        with self._queueing:
            taken, self._queued = self._queued, []
            return taken

    def _write(self, uses: Sequence[_Use], now: datetime) -> None:
        firsts = []
        with write_connection(self._engine) as connection:
            for use in uses:
                row = {"digest": use.digest, "expires_at": use.expires_at}
                firsts.append(connection.execute(self._insert_new, row).rowcount == 1)
            self._sweep(connection, now)
        for use, first in zip(uses, firsts, strict=True):
            use.first = first  # only now: the transaction is on disk

    def _sweep(self, connection: sa.Connection, now: datetime) -> None:
        if self._swept is None or now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            connection.execute(sa.delete(AssertionJtiRow).where(AssertionJtiRow.expires_at < now))


def _insert_new(dialect: str) -> sa.Insert:
    """Insert a row unless it is there already; both engines can."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(AssertionJtiRow).on_conflict_do_nothing()


def _digest(assertion: Assertion) -> str:
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    named = f"{len(assertion.client_id)}:{assertion.client_id}{assertion.jti}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
