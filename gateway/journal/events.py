"""What was recorded, for everything that is done after the fact: auditing, roll-ups, closing.

Events lie in several journals, one per serving process, each with a number for every event. A
vector of heads says how far each journal counts, so what was known at a moment is found again.
Rows come as Arrow batches of bounded size, in the order of their numbers, journal by journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import pyarrow as pa

from gateway.journal.reader import USAGE_COLUMNS, first_since, identity
from gateway.journal.schema import connect_reading

Heads: TypeAlias = Mapping[str, int]
"""How far each journal counts, by its id; one that is not named does not count at all."""

IN_FLIGHT: Final = timedelta(minutes=1)
"""Longer than any request is worked on: so long after its stamp may an event be stored."""

BATCH: Final = 20_000


@dataclass(frozen=True)
class Rows:
    """Columns of one table of a journal; `numbers` and `bits` are those that are no texts.
    `extracted`: out of JSON, where an edited journal may have a value of any kind."""

    table: str
    names: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    bits: frozenset[str] = frozenset()
    order: str = "seq"
    extracted: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The form of a batch: the journal's id, then the columns."""
        return pa.schema([("journal", pa.string()), *((n, self._type(n)) for n in self.names)])

    def _type(self, name: str) -> pa.DataType:
        if name in self.bits:
            return pa.binary()
        return pa.int64() if name == "seq" or name in self.numbers else pa.string()

    def read(self, name: str) -> str:
        """How SQLite tells a column."""
        if not self.extracted or name == "seq":
            return name
        number = name in self.numbers
        return f"iif(typeof({name}) = 'integer', {name}, NULL)" if number else f"{name} || ''"

    def batch(self, journal: str, rows: Sequence[Sequence[object]]) -> pa.RecordBatch:
        """Rows as they were read, as a batch."""
        columns = zip(*rows, strict=True)
        fields = list(self.schema)[1:]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)]
        named = pa.repeat(pa.scalar(journal), len(rows))
        return pa.RecordBatch.from_arrays([named, *arrays], schema=self.schema)


USAGE = Rows(
    "usage_event",
    ("seq", *USAGE_COLUMNS.split(", ")),
    frozenset({"qty", "billable_qty", "price_micro"}),
)
CHARGED = Rows(
    "charged_cell",
    ("seq", "tenant", "release", "place", "event_id", "time", "cells"),
    frozenset({"place"}),
    frozenset({"cells"}),
    "seq, place",
)
AUDITED = Rows(
    "audit_event",
    ("seq", "request_id", "kind", "result", "tenant", "grant_id", "service", "cells"),
    frozenset({"cells"}),
    extracted=True,
)
DECIDED = Rows(
    "decision",
    ("seq", "request_id", "decision_id", "allow"),
    frozenset({"allow"}),
    extracted=True,
)


class EventSource(Protocol):
    """Everything that was recorded, wherever it lies."""

    def heads(self) -> dict[str, int]:
        """The number of each journal's last event."""

    def link_at(self, journal: str, seq: int) -> bytes | None:
        """The chain's hash at an event; None where there is no such event."""

    def marks(self, now: datetime) -> dict[str, datetime]:
        """Up to when each journal is complete: whatever still comes is later than that."""

    def rows(self, what: Rows, after: Heads, until: Heads) -> Iterator[pa.RecordBatch]:
        """Rows of events numbered above `after` and not above `until`."""

    def numbered(self, begins: datetime, ends: datetime) -> dict[str, tuple[int, int]]:
        """The first and last number among which each journal has its events of a time, and some
        of the minutes around it."""

    def files(self) -> tuple[Path, ...]:
        """The journals that lie in files of their own."""


@dataclass(frozen=True)
class SqliteJournals:
    """Journals in SQLite files. What is committed is read directly, so nothing is on its way."""

    paths: tuple[Path, ...]

    @cached_property
    def _named(self) -> dict[str, Path]:
        found = {}
        for path in self.paths:
            with closing(connect_reading(path)) as db:
                found[identity(db)[0]] = path
        return dict(sorted(found.items()))

    def heads(self) -> dict[str, int]:
        """The number of each journal's last event."""
        return {journal: _head(path) for journal, path in self._named.items()}

    def link_at(self, journal: str, seq: int) -> bytes | None:
        """The chain's hash at an event."""
        if journal not in self._named:
            return None
        with closing(connect_reading(self._named[journal])) as db:
            row = db.execute("SELECT hash FROM audit_event WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else bytes(row[0])

    def marks(self, now: datetime) -> dict[str, datetime]:
        """Complete but for requests that are being worked on."""
        return dict.fromkeys(self._named, now - IN_FLIGHT)

    def rows(self, what: Rows, after: Heads, until: Heads) -> Iterator[pa.RecordBatch]:
        """Rows of some events, from one file after the other."""
        sql = (
            f"SELECT {', '.join(map(what.read, what.names))} FROM {what.table}"
            f" WHERE seq > ? AND seq <= ? ORDER BY {what.order}"
        )
        for journal, path in self._named.items():
            span = (after.get(journal, 0), until.get(journal, 0))
            if span[0] < span[1]:
                with closing(connect_reading(path)) as db:
                    yield from _batches(what, journal, db.execute(sql, span))

    def numbered(self, begins: datetime, ends: datetime) -> dict[str, tuple[int, int]]:
        """The numbers of a time; they rise with the stamps, requests being worked on apart."""
        found = {}
        for journal, path in self._named.items():
            with closing(connect_reading(path)) as db:
                first = first_since(db, begins - 2 * IN_FLIGHT)
                found[journal] = (first, first_since(db, ends + 2 * IN_FLIGHT) - 1)
        return found

    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return self.paths


@dataclass(frozen=True)
class Together:
    """Several sources as one. A journal that lies in two of them (a spool and the store that it was
    shipped to) is read from the first as far as it goes, and from the next beyond that."""

    sources: tuple[EventSource, ...]

    def heads(self) -> dict[str, int]:
        """The farthest end of each journal."""
        ends: dict[str, int] = {}
        for source in self.sources:
            for journal, seq in source.heads().items():
                ends[journal] = max(seq, ends.get(journal, 0))
        return ends

    def link_at(self, journal: str, seq: int) -> bytes | None:
        """As the first one that has the event tells it."""
        found = (source.link_at(journal, seq) for source in self.sources)
        return next((link for link in found if link is not None), None)

    def marks(self, now: datetime) -> dict[str, datetime]:
        """A journal is as complete as the source that knows it best."""
        known: dict[str, datetime] = {}
        for source in self.sources:
            for journal, mark in source.marks(now).items():
                known[journal] = max(mark, known.get(journal, mark))
        return known

    def rows(self, what: Rows, after: Heads, until: Heads) -> Iterator[pa.RecordBatch]:
        """Every event's rows once."""
        done = dict(after)
        for source in self.sources:
            ends = {
                journal: min(seq, until.get(journal, 0)) for journal, seq in source.heads().items()
            }
            yield from source.rows(what, done, ends)
            done |= {journal: max(seq, done.get(journal, 0)) for journal, seq in ends.items()}

    def numbered(self, begins: datetime, ends: datetime) -> dict[str, tuple[int, int]]:
        """From the first number that any source knows to the last one."""
        found: dict[str, tuple[int, int]] = {}
        for source in self.sources:
            for journal, (first, last) in source.numbered(begins, ends).items():
                known = found.get(journal, (first, last))
                found[journal] = (min(first, known[0]), max(last, known[1]))
        return found

    def files(self) -> tuple[Path, ...]:
        """Those of all sources."""
        return tuple(file for source in self.sources for file in source.files())


def one_journal(path: Path) -> SqliteJournals:
    """The events of a single file."""
    return SqliteJournals((path,))


def home_journals(home: Path) -> SqliteJournals:
    """The journals of every process that served from a home."""
    return SqliteJournals(tuple(sorted((*home.glob("journal.db"), *home.glob("journal-*.db")))))


def within(heads: Heads, limit: Heads | None) -> dict[str, int]:
    """How far each journal counts when nothing beyond `limit` does; no limit: as far as it goes."""
    if limit is None:
        return dict(heads)
    return {journal: min(seq, limit.get(journal, 0)) for journal, seq in heads.items()}


def _head(path: Path) -> int:
    with closing(connect_reading(path)) as db:
        return int(db.execute("SELECT coalesce(max(seq), 0) FROM audit_event").fetchone()[0])


def _batches(what: Rows, journal: str, cursor: sqlite3.Cursor) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(BATCH):
        yield what.batch(journal, rows)
