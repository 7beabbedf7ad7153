"""What was asked lately, counted by day: followed along the journals, never read anew.

Each journal is read once, from the day the count begins, and then only what was added since; a
page that shows the counts reads nothing but memory. With a central store the store counts, at most
once a minute.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from gateway.journal.looking import CentralStore, looking
from gateway.journal.neighbours import journals_in
from gateway.journal.schema import connect_reading
from gateway.settings import Settings

DAYS = 30
IN_A_REQUEST = 2_000
"""Events a page may count before it is drawn; the rest is the keeper's."""
AT_ONCE = 20_000
_KEPT = timedelta(minutes=1)
_HERE = timezone(timedelta(hours=8))
_ADDED = """
SELECT seq, time, kind, result, tenant, service, json_extract(body, '$.deny_codes[0]'),
  json_extract(body, '$.cells'), json_extract(body, '$.cells_suppressed')
FROM audit_event WHERE seq > ? ORDER BY seq LIMIT ?
"""


class Event(NamedTuple):
    """What is counted of an event."""

    day: str
    result: str
    tenant: str
    service: str
    code: str


class Cells(NamedTuple):
    """Cells of answers: delivered, and withheld by disclosure control."""

    delivered: int
    suppressed: int


_NONE = Cells(0, 0)


@dataclass
class Counts:
    """Calls (`read` events) of some days: how many were answered and refused, by what."""

    answered: Counter[str] = field(default_factory=Counter)  # by day, as 2026-11-23
    refused: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)  # of refusals, the first of each
    tenants: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str, bool]] = field(default_factory=Counter)  # and whether refused
    delivered: Counter[str] = field(default_factory=Counter)  # cells by day
    suppressed: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event, cells: Cells, number: int = 1) -> None:
        """Count so many events alike and all their cells; fewer than none takes them away."""
        self.delivered[event.day] += cells.delivered
        self.suppressed[event.day] += cells.suppressed
        refused = event.result == "refused"
        (self.refused if refused else self.answered)[event.day] += number
        if refused:
            self.codes[event.code] += number
        self.tenants[event.tenant] += number
        self.services[event.service] += number
        self.pairs[event.tenant, event.service, refused] += number


@dataclass
class Activity:
    """Counts of the last days, as far as the journals have been read."""

    paths: Callable[[], Iterable[Path]]
    counts: Counts = field(default_factory=Counts)
    _days: dict[str, Counter[Event]] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def catch_up(self, now: datetime, most: int = AT_ONCE) -> bool:
        """Read what was added, so many events of each journal at most; True when all is read."""
        with self._lock:
            self._forget(now)
            done = [self._follow(path, now, most) for path in self.paths()]
            return all(done)

    def _follow(self, path: Path, now: datetime, most: int) -> bool:
        with closing(connect_reading(path)) as db:
            if path not in self._read:
                self._read[path] = _before(db, now)
            rows = db.execute(_ADDED, (self._read[path], most)).fetchall()
        first = _first_day(now)
        for seq, time, kind, *told, delivered, suppressed in rows:
            self._read[path] = seq
            event = Event(day_of(datetime.fromisoformat(time)), *(each or "" for each in told))
            if kind == "read" and event.day >= first:
                self._days.setdefault(event.day, Counter())[event] += 1
                self.counts.add(event, Cells(delivered or 0, suppressed or 0))
        return len(rows) < most

    def _forget(self, now: datetime) -> None:
        first = _first_day(now)
        for day in [each for each in self._days if each < first]:
            for event, number in self._days.pop(day).items():
                self.counts.add(event, _NONE, -number)
            del self.counts.delivered[day], self.counts.suppressed[day]


@dataclass
class StoredActivity:
    """The same from the central store."""

    store: CentralStore
    counts: Counts = field(default_factory=Counts)
    _at: datetime | None = None
    _lock: Lock = field(default_factory=Lock)

    def catch_up(self, now: datetime, most: int = AT_ONCE) -> bool:
        """Count anew where the last count is a minute old."""
        del most
        with self._lock:
            if self._at is None or now - self._at >= _KEPT:
                fresh, first = Counts(), _first_day(now)
                for day, kind, *told, number, delivered, suppressed in self.store.by_day(
                    now - timedelta(days=DAYS)
                ):
                    if kind == "read" and day >= first:
                        event = Event(day, *(each or "" for each in told))
                        fresh.add(event, Cells(int(delivered), int(suppressed)), int(number))
                self.counts, self._at = fresh, now
        return True


def _first_day(now: datetime) -> str:
    return day_of(now - timedelta(days=DAYS - 1))


def activity(settings: Settings) -> Activity | StoredActivity:
    """Where this gateway's counts come from."""
    found = looking(settings)
    if isinstance(found, CentralStore):
        return StoredActivity(found)
    return Activity(lambda: journals_in(settings.home))


def _before(db: sqlite3.Connection, now: datetime) -> int:
    """The last event before the days that are counted: found by halving, for time grows with it."""
    first = (now - timedelta(days=DAYS + 1)).astimezone(UTC).isoformat()
    low, high = 0, int(db.execute("SELECT coalesce(max(seq), 0) FROM audit_event").fetchone()[0])
    while low < high:
        middle = (low + high + 1) // 2
        row = db.execute(
            "SELECT time FROM audit_event WHERE seq >= ? LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[0] < first:
            low = middle
        else:
            high = middle - 1
    return low


def day_of(moment: datetime) -> str:
    """The office's day of an instant."""
    return moment.astimezone(_HERE).strftime("%Y-%m-%d")
