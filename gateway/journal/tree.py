"""The Merkle tree over a chain of events, beside the chain in its own store.

Leaf n is the chain's hash of event n + 1, so that the tree says of every event what the chain says
of it. Full tiles and signed notes lie in two tables that nobody may change or delete from; they
repeat what the events say and `sluice audit verify` computes them anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.tlog.tiles import Source, Tile

LASTING: Final = ("tile", "note")
TABLES: Final = """
CREATE TABLE IF NOT EXISTS tile (
  level INTEGER NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL,
  hashes BLOB NOT NULL CHECK (length(hashes) = 8192), PRIMARY KEY (level, number)
) STRICT;
CREATE TABLE IF NOT EXISTS note (size INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
"""
_TILE: Final = "SELECT hashes FROM tile WHERE level = ? AND number = ?"
_LEAVES: Final = "SELECT hash FROM audit_event WHERE seq > ? AND seq <= ? ORDER BY seq"
_KEEP: Final = "INSERT OR IGNORE INTO tile VALUES (?, ?, ?, ?)"
_NOTE: Final = "INSERT OR IGNORE INTO note VALUES (?, ?)"
_COVERING: Final = "SELECT text FROM note WHERE size >= ? ORDER BY size LIMIT 1"
_OF_SIZE: Final = "SELECT text FROM note WHERE size = ?"
_NEWEST: Final = "SELECT text FROM note ORDER BY size DESC LIMIT 1"


class Grown(Source, Protocol):
    """A chain's tree as the process that writes the chain sees it."""

    def keep(self, tiles: Sequence[Tile], size: int, note: str) -> None:
        """Store tiles that are full and the note of this size, all or nothing. Harmless again."""


class Noted(Source, Protocol):
    """A chain's tree as those see it who prove something by it."""

    def note_covering(self, size: int) -> str | None:
        """The first signed note of a tree with at least so many leaves."""

    def note_of(self, size: int) -> str | None:
        """The signed note of this size."""

    def newest_note(self) -> str | None:
        """The last signed note."""


class SqliteTree:
    """The tree of a journal file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def tile(self, level: int, number: int) -> bytes | None:
        row = self._db.execute(_TILE, (level, number)).fetchone()
        return None if row is None else bytes(row[0])

    def leaves(self, first: int, count: int) -> list[bytes]:
        return [bytes(row[0]) for row in self._db.execute(_LEAVES, (first, first + count))]

    def keep(self, tiles: Sequence[Tile], size: int, note: str) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_KEEP, [(t.level, t.number, t.size, t.hashes) for t in tiles])
            self._db.execute(_NOTE, (size, note))
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def note_covering(self, size: int) -> str | None:
        """The first signed note of a tree with at least so many leaves."""
        row = self._db.execute(_COVERING, (size,)).fetchone()
        return None if row is None else str(row[0])

    def note_of(self, size: int) -> str | None:
        """The signed note of this size."""
        row = self._db.execute(_OF_SIZE, (size,)).fetchone()
        return None if row is None else str(row[0])

    def newest_note(self) -> str | None:
        """The last signed note."""
        row = self._db.execute(_NEWEST).fetchone()
        return None if row is None else str(row[0])


def has_tree(db: sqlite3.Connection) -> bool:
    """Whether the file has the tree's tables: one that was last written before there was a tree has
    not."""
    known = "SELECT count(*) FROM sqlite_master WHERE name IN ('tile', 'note')"
    return bool(db.execute(known).fetchone()[0] == len(LASTING))


@dataclass(frozen=True)
class Kept:
    """Tiles and notes of a chain, to be compared with what its events come to."""

    tiles: dict[tuple[int, int], bytes]
    notes: dict[int, str]


def kept_in(db: sqlite3.Connection) -> Kept:
    """Everything a journal file keeps of its tree; nothing in a file of before there was one."""
    if not has_tree(db):
        return Kept({}, {})
    tiles = {
        (level, number): bytes(hashes)
        for level, number, hashes in db.execute("SELECT level, number, hashes FROM tile")
    }
    return Kept(tiles, dict(db.execute("SELECT size, text FROM note").fetchall()))
