"""Where a call lies in the logs of this gateway, and the trees to prove it by.

Without PostgreSQL the logs are the journals of the home; with it, the chains of the central store,
and what this home's journals have not shipped yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gateway.db.dsn import read_dsn
from gateway.journal.archived import Shelf, folder_of, is_stub
from gateway.journal.neighbours import journals_in
from gateway.journal.port import JournalUnavailable
from gateway.journal.postgres_reading import ChainReader, archive_of
from gateway.journal.postgres_tree import PostgresTree
from gateway.journal.reader import identity
from gateway.journal.schema import connect_reading
from gateway.journal.tree import Noted, SqliteTree, has_tree
from gateway.settings import Settings

_EVENT = "SELECT seq, body, prev_hash, hash FROM audit_event WHERE request_id = ?"
_STORED = (
    "SELECT seq, body, prev_hash, hash FROM audit_event WHERE journal_id = $1 AND request_id = $2"
)


@dataclass(frozen=True)
class Place:
    """One event of a log: its number from 1, its canonical JSON, the hashes of the chain."""

    seq: int
    body: str
    prev_hash: bytes
    hash: bytes


class Log(Protocol):
    """One chain with its tree."""

    @property
    def journal_id(self) -> str:
        """Whose chain it is."""

    @property
    def tree(self) -> Noted:
        """The tree over it."""

    def event(self, request_id: str) -> Place | None:
        """The event of a request."""


@dataclass(frozen=True)
class _File:
    journal_id: str
    tree: Noted
    db: sqlite3.Connection
    archive: Path

    def event(self, request_id: str) -> Place | None:
        row = self.db.execute(_EVENT, (request_id,)).fetchone()
        return None if row is None else _whole(row, self.archive)


@dataclass(frozen=True)
class _Stored:
    journal_id: str
    tree: Noted
    reader: ChainReader
    archive: Path

    def event(self, request_id: str) -> Place | None:
        rows = self.reader.fetch(_STORED, self.journal_id, request_id)
        return _whole(rows[0], self.archive) if rows else None


def logs(settings: Settings) -> Generator[Log, None, None]:
    """Every log that can be read here, one after the other; each is closed when the next is asked
    for, or when this is. A chain that lies in two places comes twice."""
    try:
        for path in journals_in(settings.home):
            with closing(connect_reading(path)) as db:
                if has_tree(db):
                    yield _File(identity(db)[0], SqliteTree(db), db, folder_of(path))
        if settings.postgres_dsn_file is not None:
            with closing(ChainReader(read_dsn(settings.postgres_dsn_file))) as reader:
                for chain in reader.chains():
                    tree = PostgresTree(chain.journal_id, reader.fetch)
                    archive = archive_of(settings.home, chain.journal_id)
                    yield _Stored(chain.journal_id, tree, reader, archive)
    except sqlite3.Error as error:
        raise JournalUnavailable(
            "journal_down", "The journal cannot be read at the moment; try again later."
        ) from error


def _whole(row: Any, archive: Path) -> Place:  # Any: a row of either store
    """An event as it was recorded, also where only a stub of it is left in the journal."""
    seq, body, prev_hash, digest = row
    if is_stub(body):
        body, _ = Shelf(archive).whole(seq, body, None)
    return Place(seq, body, bytes(prev_hash), bytes(digest))
