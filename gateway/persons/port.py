"""The port of the person source: keyed reads about one person, nothing else.

Two adapters, one on a SQLite file of its own and one on PostgreSQL, answer alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa

from gateway.errors import Unavailable

Row: TypeAlias = Mapping[str, Any]  # field → text, date, datetime or None
Rows: TypeAlias = tuple[Row, ...]
Statement: TypeAlias = sa.Select[tuple[Any, ...]]

MOST_ROWS = 20_000
"""Rows of one table that are read of one person at once; more is a fault, not an answer."""


@dataclass(frozen=True)
class Known:
    """A person of the source: a keyed hash of the name, the day of death if there was one, and the
    birthday, which tells whose word a consent needs."""

    name_mac: str | None
    died: date | None
    born: date | None = None


@dataclass(frozen=True)
class Found:
    """What was read, all of one load."""

    load: str
    rows: Mapping[str, Rows]


class PersonSourceDown(Unavailable):
    """The source cannot be read: nothing is answered."""

    def __init__(self, why: str) -> None:
        super().__init__("person_source_unavailable", "")
        self.reason = why


class PersonSource(Protocol):
    """Reads about one person at a time; raises `PersonSourceDown`."""

    async def known(self, subject: str) -> Known | None:
        """The person behind an internal token; None where there is nobody."""

    async def read(self, subject: str, statements: Mapping[str, Statement]) -> Found:
        """The rows of each statement, all of one load. Statements come from
        `gateway.policy.filters` and are about this person alone."""

    async def load(self) -> str:
        """The name of the load that is read now."""

    async def close(self) -> None:
        """Let go of connections."""
