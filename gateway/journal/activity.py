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

from gateway.journal.looking import CentralStore, looking
from gateway.journal.neighbours import journals_in
from gateway.journal.schema import connect_reading
from gateway.settings import Settings

DAYS = 31
AT_ONCE = 20_000
_KEPT = timedelta(minutes=1)
_HERE = timezone(timedelta(hours=8))
_ADDED = """
SELECT seq, time, kind, result, tenant, service, json_extract(body, '$.deny_codes[0]')
FROM audit_event WHERE seq > ? ORDER BY seq LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What is counted together: `day` is 2026-11-23 in the office's time."""

    day: str
    kind: str
    result: str
    tenant: str
    service: str
    code: str


@dataclass
class Activity:
    """Counts of audit events of the last days, as far as they have been read."""

    paths: Callable[[], Iterable[Path]]
    counts: Counter[Line] = field(default_factory=Counter)
    _read: dict[Path, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def catch_up(self, now: datetime, most: int = AT_ONCE) -> bool:
        """Read what was added, so many events of each journal at most; True when all is read."""
        with self._lock:
            self._forget(now)
            done = [self._follow(path, now, most) for path in self.paths()]
            return all(done)

    def since(self, now: datetime, days: int) -> list[tuple[Line, int]]:
        """The counts of the last so many days, today's included."""
        first = day_of(now - timedelta(days=days - 1))
        with self._lock:
            return [(line, number) for line, number in self.counts.items() if line.day >= first]

    def _follow(self, path: Path, now: datetime, most: int) -> bool:
        with closing(connect_reading(path)) as db:
            if path not in self._read:
                self._read[path] = _before(db, now)
            rows = db.execute(_ADDED, (self._read[path], most)).fetchall()
        for seq, time, kind, result, tenant, service, code in rows:
            day = day_of(datetime.fromisoformat(time))
            line = Line(day, kind or "", result or "", tenant or "", service or "", code or "")
            self.counts[line] += 1
            self._read[path] = seq
        return len(rows) < most

    def _forget(self, now: datetime) -> None:
        first = day_of(now - timedelta(days=DAYS))
        for line in [each for each in self.counts if each.day < first]:
            del self.counts[line]


@dataclass
class StoredActivity:
    """The same from the central store."""

    store: CentralStore
    counted: list[tuple[Line, int]] = field(default_factory=list)
    _at: datetime | None = None
    _lock: Lock = field(default_factory=Lock)

    def catch_up(self, now: datetime, most: int = AT_ONCE) -> bool:
        """Count anew where the last count is a minute old."""
        del most
        with self._lock:
            if self._at is None or now - self._at >= _KEPT:
                self.counted = [
                    (Line(*(str(each or "") for each in row[:6])), int(row[6]))
                    for row in self.store.by_day(now - timedelta(days=DAYS))
                ]
                self._at = now
        return True

    def since(self, now: datetime, days: int) -> list[tuple[Line, int]]:
        """The counts of the last so many days, today's included."""
        first = day_of(now - timedelta(days=days - 1))
        return [(line, number) for line, number in self.counted if line.day >= first]


def activity(settings: Settings) -> Activity | StoredActivity:
    """Where this gateway's counts come from."""
    found = looking(settings)
    if isinstance(found, CentralStore):
        return StoredActivity(found)
    return Activity(lambda: journals_in(settings.home))


def _before(db: sqlite3.Connection, now: datetime) -> int:
    """The last event before the days that are counted: found by halving, for time grows with it."""
    first = (now - timedelta(days=DAYS)).astimezone(UTC).isoformat()
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
