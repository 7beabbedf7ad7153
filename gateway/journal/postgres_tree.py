"""The tree of a chain that lies in PostgreSQL (see `tree`): for its writer, and for the shipper."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg

from gateway.journal.tree import has_tree

TABLES: Final = """
CREATE TABLE IF NOT EXISTS tile (
  journal_id text NOT NULL,
  level integer NOT NULL,
  number bigint NOT NULL,
  size bigint NOT NULL,
  hashes bytea NOT NULL CHECK (length(hashes) = 8192),
  PRIMARY KEY (journal_id, level, number)
);
CREATE TABLE IF NOT EXISTS note (
  journal_id text NOT NULL,
  size bigint NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (journal_id, size)
);
"""
_TILE: Final = "SELECT hashes FROM tile WHERE (journal_id, level, number) = ($1, $2, $3)"
_LEAVES: Final = (
    "SELECT hash FROM audit_event WHERE journal_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq"
)
_COVERING: Final = (
    "SELECT text FROM note WHERE journal_id = $1 AND size >= $2 ORDER BY size LIMIT 1"
)
_NEWEST: Final = "SELECT text FROM note WHERE journal_id = $1 ORDER BY size DESC LIMIT 1"
_OF_SIZE: Final = "SELECT text FROM note WHERE journal_id = $1 AND size = $2"
_KEEP: Final = "INSERT INTO tile VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
_NOTE: Final = "INSERT INTO note VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_FULL: Final = "SELECT level, number, size, hashes FROM tile WHERE size > ? AND size <= ?"
_NOTED: Final = "SELECT size, text FROM note WHERE size > ? AND size <= ?"

Fetch = Callable[..., Any]  # a query and its values → rows, as asyncpg has them


class PostgresTree:
    """The tree of one chain, by somebody's connection."""

    def __init__(self, journal_id: str, fetch: Fetch) -> None:
        self._journal_id, self._fetch = journal_id, fetch

    def tile(self, level: int, number: int) -> bytes | None:
        rows = self._fetch(_TILE, self._journal_id, level, number)
        return bytes(rows[0]["hashes"]) if rows else None

    def leaves(self, first: int, count: int) -> list[bytes]:
        rows = self._fetch(_LEAVES, self._journal_id, first, first + count)
        return [bytes(row["hash"]) for row in rows]

    def note_covering(self, size: int) -> str | None:
        """The first signed note of a tree with at least so many leaves."""
        rows = self._fetch(_COVERING, self._journal_id, size)
        return str(rows[0]["text"]) if rows else None

    def note_of(self, size: int) -> str | None:
        """The signed note of this size."""
        rows = self._fetch(_OF_SIZE, self._journal_id, size)
        return str(rows[0]["text"]) if rows else None

    def newest_note(self) -> str | None:
        """The last signed note."""
        rows = self._fetch(_NEWEST, self._journal_id)
        return str(rows[0]["text"]) if rows else None


async def keep(
    db: asyncpg.Connection,
    journal_id: str,
    tiles: Sequence[tuple[int, int, int, bytes]],
    notes: Sequence[tuple[int, str]],
) -> None:
    """Store tiles (level, number, size, hashes) and notes (size, text) of a chain."""
    await db.executemany(_KEEP, [(journal_id, *tile) for tile in tiles])
    await db.executemany(_NOTE, [(journal_id, *note) for note in notes])


def full_between(
    db: sqlite3.Connection, after: int, upto: int
) -> tuple[list[tuple[int, int, int, bytes]], list[tuple[int, str]]]:
    """Tiles and notes of a spool that came with events `after` to `upto`."""
    if not has_tree(db):
        return [], []
    span = (after, upto)
    return db.execute(_FULL, span).fetchall(), db.execute(_NOTED, span).fetchall()
