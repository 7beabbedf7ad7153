"""Reading the journal: counters at start, a tenant's usage, and the auditor's streams."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gateway.journal.archived import filled
from gateway.journal.charges import Charged
from gateway.journal.counters import Total
from metering.calendar import month_range
from metering.rating import Accrual, LineKey
from metering.summary import CallKey
from metering.usage import FIELDS, time_of, time_text

_SAME_NAME = {"grant": "grant_id"}
USAGE_COLUMNS = ", ".join(_SAME_NAME.get(name, name) for name in FIELDS)

_TOTALS = """
SELECT grant_id, sum(qty), sum(time >= :day), sum(iif(time >= :day, qty, 0))
FROM usage_event WHERE seq >= :first AND time >= :month GROUP BY grant_id
"""
_QUERIES = """
SELECT grant_id, query_hash FROM usage_event WHERE seq >= :first AND time >= :day
"""
_BILLABLE = """
SELECT month, tenant, grant_id, service, unit, price_ref, price_micro, sum(billable_qty)
FROM usage_event WHERE seq >= :first AND time >= :month GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
CHARGED = """
SELECT place, time, event_id, cells FROM charged_cell
WHERE tenant = ? AND release = ? AND place IN (SELECT value FROM json_each(?)) AND time > ?
"""
ACCRUED = """
SELECT month, tenant, grant_id, service, unit, price_ref, price_micro, count(*), sum(qty),
  sum(billable_qty), sum(qty - billable_qty)
FROM usage_event WHERE tenant = ? AND time >= ? AND time < ? GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
REFUSED = """
SELECT coalesce(grant_id, ''), coalesce(service, ''), count(*)
FROM audit_event WHERE result = 'refused' AND tenant = ? AND time >= ? AND time < ? GROUP BY 1, 2
"""


_CALLED = """
SELECT tenant, count(*), sum(result = 'refused') FROM audit_event
WHERE seq >= ? AND time >= ? AND time < ? AND tenant IS NOT NULL
  AND kind IN ('read', 'write', 'job', 'export', 'decision') GROUP BY 1
"""


class Called(NamedTuple):
    """How often a tenant called in a month, and how many of the calls were refused."""

    tenant: str
    calls: int
    refused: int


class ChargedRow(NamedTuple):
    """Cells of one place that event `seq` charged."""

    seq: int
    tenant: str
    release: str
    place: int
    cells: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as it lies in the journal: the sealed audit event, its decision, its usage and the
    cells it charged."""

    seq: int
    request_id: str
    body: str
    prev_hash: bytes
    hash: bytes
    decision: str | None
    decision_request: str | None
    usage: dict[str, str | int | None] | None
    charged: tuple[ChargedRow, ...]


def first_since(db: sqlite3.Connection, since: datetime) -> int:
    """The number of the first event at or after a moment: times rise with the numbers."""
    low, high = 1, (db.execute("SELECT max(seq) FROM audit_event").fetchone()[0] or 0) + 1
    limit = time_text(since)
    while low < high:
        middle = (low + high) // 2
        row = db.execute("SELECT time FROM audit_event WHERE seq = ?", (middle,)).fetchone()
        if row is None or row[0] < limit:
            low = middle + 1
        else:
            high = middle
    return low


def totals(db: sqlite3.Connection, month: datetime, day: datetime) -> Iterator[Total]:
    """What each grant has used since the month and the day began; reads nothing older."""
    moments = {"month": time_text(month), "day": time_text(day), "first": first_since(db, month)}
    return map(Total._make, db.execute(_TOTALS, moments))


def billable_since(db: sqlite3.Connection, month: datetime) -> Iterator[tuple[LineKey, int]]:
    """What each line of the month's bills counts so far; reads nothing older."""
    moments = {"month": time_text(month), "first": first_since(db, month)}
    for *key, billable in db.execute(_BILLABLE, moments):
        yield LineKey(*key), billable


def called(db: sqlite3.Connection, month: str) -> Iterator[Called]:
    """Calls of every tenant in a month of account; reads nothing older."""
    begins, ends = month_range(month)
    asked = (first_since(db, begins), time_text(begins), time_text(ends))
    yield from map(Called._make, db.execute(_CALLED, asked))


def queries_since(db: sqlite3.Connection, day: datetime) -> Iterator[tuple[str, str]]:
    """Which queries each grant has asked since the day began; one asked again comes again."""
    yield from db.execute(_QUERIES, {"day": time_text(day), "first": first_since(db, day)})


def charged(
    db: sqlite3.Connection, tenant: str, release: str, places: Collection[int], after: datetime
) -> list[tuple[int, Charged]]:
    """Cells a tenant was charged for at some places of a release, after a moment."""
    rows = db.execute(CHARGED, (tenant, release, json.dumps(list(places)), time_text(after)))
    return [
        (place, Charged(time_of(time), event_id, int.from_bytes(cells, "big")))
        for place, time, event_id, cells in rows.fetchall()
    ]


def recorded(db: sqlite3.Connection, after: int = 0) -> Iterator[Recorded]:
    """All events in order, joined to what was recorded with them, whole where they are archived."""
    usage = ", ".join(f"u.{column.strip()}" for column in USAGE_COLUMNS.split(","))
    rows = db.execute(
        "SELECT a.seq, a.request_id, a.body, a.prev_hash, a.hash, d.body, d.request_id, u.seq,"
        f" {usage} FROM audit_event a LEFT JOIN decision d ON d.seq = a.seq"
        " LEFT JOIN usage_event u ON u.seq = a.seq WHERE a.seq > ? ORDER BY a.seq",
        (after,),
    )
    cells = CellsByEvent(charged_rows(db, after))
    for row in filled(db, rows):
        event = None if row[7] is None else dict(zip(FIELDS, row[8:], strict=True))
        seq, request_id, body, prev_hash, digest, decision, asked = row[:7]
        charged = tuple(cells.of(seq))
        yield Recorded(seq, request_id, body, prev_hash, digest, decision, asked, event, charged)


class CellsByEvent:
    """Hands out charged cells event by event, as long as events are asked for in order."""

    def __init__(self, rows: Iterator[ChargedRow]) -> None:
        self._rows = rows
        self._next = next(rows, None)
        self.orphans: list[ChargedRow] = []

    def of(self, seq: int) -> Iterator[ChargedRow]:
        """The cells an event was charged for. Those of events that were never asked for are
        `orphans`."""
        while self._next is not None and self._next.seq <= seq:
            if self._next.seq == seq:
                yield self._next
            else:
                self.orphans.append(self._next)
            self._next = next(self._rows, None)

    def rest(self) -> list[ChargedRow]:
        """After the last event: all cells of no event."""
        return [*self.orphans, *([] if self._next is None else [self._next]), *self._rows]


def charged_rows(db: sqlite3.Connection, after: int = 0) -> Iterator[ChargedRow]:
    """All charged cells in the order of their events."""
    rows = db.execute(
        "SELECT seq, tenant, release, place, cells FROM charged_cell WHERE seq > ?"
        " ORDER BY seq, place",
        (after,),
    )
    for *key, cells in rows:
        yield ChargedRow._make((*key, int.from_bytes(cells, "big")))


def identity(db: sqlite3.Connection) -> tuple[str, str]:
    """The journal's id and when it was made: what the chain begins with."""
    journal_id, created = db.execute("SELECT id, created FROM journal").fetchone()
    return journal_id, created


def accrued(
    db: sqlite3.Connection, tenant: str, months: Sequence[str]
) -> Iterator[tuple[LineKey, Accrual]]:
    """What one tenant used in the given months, by line; nothing of any other is read."""
    for month in months:
        begins, ends = (time_text(moment) for moment in month_range(month))
        for row in db.execute(ACCRUED, (tenant, begins, ends)):
            yield LineKey(*row[:7]), Accrual(*row[7:])


def refused(
    db: sqlite3.Connection, tenant: str, months: Sequence[str]
) -> Iterator[tuple[CallKey, int]]:
    """How many calls of one tenant were refused in the given months."""
    for month in months:
        begins, ends = (time_text(moment) for moment in month_range(month))
        for grant, service, count in db.execute(REFUSED, (tenant, begins, ends)):
            yield CallKey(month, tenant, grant, service), count
