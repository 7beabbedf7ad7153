"""What of a journal lies in its archive: where, and reading it back as if it lay in the journal.

After the hot time an event's body and decision move into files beside the journal. What stays is a
*stub* with what is looked up by (time, kind, organisation, …), and both hashes: so the chain, its
tree and its counts go on, and whoever needs the whole event is given it from the archive.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from gateway.journal.entry import canonical

KEPT: Final = (
    *("event_id", "seq", "request_id", "time", "kind", "result", "tenant", "grant", "service"),
    *("version", "release", "cells", "subject", "decision_id", "watermark_tag"),
)
"""What a stub still says of its event."""
TABLE: Final = """
CREATE TABLE IF NOT EXISTS archive (
  first INTEGER PRIMARY KEY, last INTEGER NOT NULL CHECK (last >= first),
  name TEXT NOT NULL, sha256 TEXT NOT NULL, expired TEXT
) STRICT;
"""
_STUB: Final = '{"archived":"'  # first of its names in canonical JSON, and of no event's
Row = TypeVar("Row", bound=tuple[Any, ...])  # as SQLite gives it: number, request, body, links, …


@dataclass(frozen=True)
class Archived:
    """One event in an archive: as it was recorded, byte for byte."""

    seq: int
    request_id: str
    prev_hash: str
    hash: str
    body: str
    decision: str | None

    def line(self) -> bytes:
        """The event as a line of a file."""
        return orjson.dumps(self.__dict__, option=orjson.OPT_SORT_KEYS) + b"\n"


def folder_of(journal: Path) -> Path:
    """Where a journal's archive lies."""
    return journal.with_name(f"{journal.name}.archive")


def file_of(folder: Path, name: str) -> Path:
    """The events of a segment, JSON lines under gzip."""
    return folder / f"{name}.jsonl.gz"


def read_segment(folder: Path, name: str) -> Iterator[Archived]:
    """The events of a segment in order; raises OSError or ValueError where it cannot be read."""
    with gzip.open(file_of(folder, name), "rb") as lines:
        for line in lines:
            yield Archived(**orjson.loads(line))


def is_stub(body: str) -> bool:
    """Whether only a stub of the event lies here."""
    return body.startswith(_STUB)


def segment_of(body: str) -> str:
    """The segment that a stub's event lies in."""
    return str(orjson.loads(body)["archived"])


def stub_of(name: str, body: str) -> str:
    """What stays of an event that moved into a segment."""
    event: Mapping[str, object] = orjson.loads(body)
    kept = {field: event[field] for field in KEPT if field in event}
    return canonical({"archived": name, **kept}).decode()


def decision_stub(name: str, body: str) -> str:
    """What stays of a decision: what it is found by."""
    told = orjson.loads(body)
    kept = {field: told[field] for field in ("decision_id", "allow", "deny") if field in told}
    return canonical({"archived": name, **kept}).decode()


def is_archived(db: sqlite3.Connection) -> bool:
    """Whether anything of this journal is in an archive."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'archive'"
    return db.execute(query).fetchone() is not None


def filled(db: sqlite3.Connection, rows: Iterable[Row]) -> Iterable[Row]:
    """Rows of events in order (number, request, body, two links, decision, …) with the whole body
    and decision where these are archived. A segment that is not there leaves its stubs."""
    if not is_archived(db):
        return rows
    path = Path(str(db.execute("PRAGMA database_list").fetchone()[2]))
    return _filled(folder_of(path), rows)


def _filled(folder: Path, rows: Iterable[Row]) -> Iterator[Row]:
    shelf = Shelf(folder)
    for row in rows:
        if is_stub(row[2]):
            body, decision = shelf.whole(row[0], row[2], row[5])
            whole: Any = (*row[:2], body, *row[3:5], decision, *row[6:])
            yield whole
        else:
            yield row


class Shelf:
    """An archive read in the order of its events: each segment once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, ""
        self._lines: Iterator[Archived] = iter(())
        self._next: Archived | None = None

    def whole(self, seq: int, body: str, decision: str | None) -> tuple[str, str | None]:
        """Body and decision of an event, as they were recorded; its stubs where they are gone, or
        where what the stub says is not what the event does."""
        name = segment_of(body)
        try:
            if name != self._name:
                self._name, self._lines = name, read_segment(self._folder, name)
                self._next = next(self._lines, None)
            while self._next is not None and self._next.seq < seq:
                self._next = next(self._lines, None)
        except (OSError, EOFError, ValueError, TypeError):
            self._next = None
        found = self._next
        if found is None or found.seq != seq or stub_of(name, found.body) != body:
            return body, decision
        return found.body, found.decision
