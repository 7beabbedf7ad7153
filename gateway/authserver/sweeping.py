"""Forgetting what is over: pushed requests, visits and codes, at most once a minute."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from gateway.authserver.store import sweep
from gateway.db.engine import writing

_EVERY = timedelta(minutes=1)


@dataclass
class Sweeper:
    """Sweeps beside the requests that leave something behind."""

    engine: sa.Engine
    _swept: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sweep(self, now: datetime) -> None:
        """Sweep if the last time is long enough ago."""
        with self._lock:
            due = now - self._swept >= _EVERY
            self._swept = now if due else self._swept
        if due:
            with writing(self.engine) as session:
                sweep(session, now)
