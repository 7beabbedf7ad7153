"""Hourly roll-ups: what each hour of events adds up to, computed whole from the archive.

An hour is never added to. Its sums name the files they were made from, by content; where these are
others now, because something arrived, the hour is computed again from all of its events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from gateway.billing.archive import Archive, Caught, opened
from gateway.billing.archive_events import SCHEMA
from gateway.billing.archive_index import Part, Rolled
from gateway.billing.archive_proof import same_events
from gateway.billing.watermark import closed_hours
from gateway.errors import OperatorError
from gateway.journal.engine import MODEST, Limits, engine, table
from gateway.journal.events import EventSource, Heads

_AT_ONCE: Final = 1_000_000
"""Events of hours that are added up by one question."""

_HOUR = "epoch_us(time) // 3600000000 AS hour"
_HELD_HOUR = "epoch_us(held.time) // 3600000000"
_KEY = "tenant, grant_id, service, unit, price_ref, price_micro"
_CONTENT = f"{_KEY}, release, qty, billable_qty, providers_ref, time"
# Whole numbers are counted faster than texts; equal ones are looked at again, by the text itself.
_MAYBE_TWICE = """
SELECT 1 FROM (SELECT hash(event_id) AS id FROM told) GROUP BY id HAVING count(*) > 1 LIMIT 1
"""
_TWICE = """
CREATE OR REPLACE TEMP TABLE twice AS
SELECT event_id, min(journal) AS journal, max(journal) AS also
FROM told GROUP BY event_id HAVING count(*) > 1
"""
_CONFLICT = f"""
SELECT event_id FROM told JOIN twice USING (event_id)
GROUP BY event_id HAVING count(DISTINCT row({_CONTENT})) > 1 ORDER BY 1 LIMIT 1
"""
_ONCE = """
CREATE OR REPLACE TEMP VIEW event AS
SELECT told.*, coalesce(twice.also, told.journal) AS also
FROM told LEFT JOIN twice USING (event_id)
WHERE twice.journal IS NULL OR twice.journal = told.journal
"""
USAGE_BY_HOUR: Final = f"""
SELECT {_HOUR}, {_KEY}, count(*) AS answers, sum(qty)::BIGINT AS qty,
  sum(billable_qty)::BIGINT AS billable
FROM event GROUP BY ALL ORDER BY ALL
"""
CHARGED_BY_HOUR: Final = f"""
SELECT hour, tenant, release, journal, also, service, unit = 'free' AS free, providers_ref, place,
  cells, count(*) AS times
FROM (SELECT {_HOUR}, * EXCLUDE charged, unnest(charged, recursive := true) FROM event)
GROUP BY ALL ORDER BY hour
"""

_LIVE = pa.schema([("hour", pa.int64()), ("file", pa.string())])
_KNOWN = pa.schema([("journal", pa.string()), ("until", pa.int64())])


@dataclass(frozen=True)
class RollupState:
    """How far the roll-ups are. `open_hours` may still get events that are not late."""

    watermark: datetime | None
    events: int
    late: int
    hours: int
    open_hours: int


@dataclass(frozen=True)
class Progress:
    """What bringing the roll-ups up to date came to."""

    caught: Caught
    hours: int
    state: RollupState


class Rollups:
    """The roll-ups of a home over its archive; make it with `rollups`."""

    def __init__(self, archive: Archive, db: duckdb.DuckDBPyConnection) -> None:
        self.archive, self.db = archive, db
        db.register("nothing", SCHEMA.empty_table())

    def refresh(self, events: EventSource, now: datetime | None = None) -> Progress:
        """Bring archive and roll-ups up to date. An archive that somebody changed is made anew."""
        caught = self.archive.catch_up(events, now)
        dirty = self._dirty()
        if not self.intact(dirty):
            caught, dirty = self._again(events, now), self._dirty()
        self._roll_all(dirty)
        found = state_of(self.archive)
        return Progress(caught, len({part.hour for part in dirty}), found)

    def prove(self, events: EventSource, begins: int, ends: int) -> bool:
        """Read the events of some hours from the journals once more; where the archive holds
        others, make it anew. Whether it held the same."""
        self.hold(self.archive.index.parts(begins, ends))
        if same_events(self.db, events, "told", begins, ends):
            return True
        self._again(events)
        self._roll_all(self._dirty())
        return False

    def make_sure(self, events: EventSource, begins: int, ends: int) -> None:
        """The sums of some hours are what was written, and so are the events they are made of."""
        rolled = self.archive.index.rolled(begins, ends)
        parts = self.archive.index.parts(begins, ends)
        if not self.intact(parts):
            self._again(events)
            self._roll_all(self._dirty())
            return
        sums = {(one.usage, one.usage_sha256) for one in rolled.values()}
        sums |= {(one.charged, one.charged_sha256) for one in rolled.values()}
        gone = {file for file, sha256 in sums if not self.archive.intact(file, sha256)}
        broken = {hour for hour, one in rolled.items() if {one.usage, one.charged} & gone}
        self._roll_all([part for part in parts if part.hour in broken])

    def intact(self, parts: Iterable[Part]) -> bool:
        """Whether parts lie there as they were written."""
        return all(self.archive.intact(*file) for file in {(p.file, p.sha256) for p in parts})

    def hold(self, parts: Sequence[Part], until: Heads | None = None) -> None:
        """Let the view `told` show the events of some parts, none beyond `until`; one that came by
        two journals shows twice."""
        self.live("live_parts", [(part.hour, part.file) for part in parts])
        told = "SELECT * FROM nothing"
        if parts:
            told = self.read((part.file for part in parts), "live_parts", _HELD_HOUR)
        if until is not None:
            known = pa.table({"journal": [*until], "until": [*until.values()]}, schema=_KNOWN)
            self.db.register("known", known)
            told = f"SELECT held.* FROM ({told}) held JOIN known USING (journal) WHERE seq <= until"
        self.db.execute(f"CREATE OR REPLACE TEMP VIEW told AS {told}")

    def read(self, files: Iterable[str], live: str, hour: str = "held.hour") -> str:
        """A question for the rows of files, those left out that stand for their hour no more."""
        names = ", ".join(quoted(self.archive.path(file)) for file in sorted({*files}))
        return (
            f"SELECT held.* EXCLUDE filename FROM read_parquet([{names}], filename = true) held"
            f" SEMI JOIN {live} ON {live}.file = held.filename AND {live}.hour = {hour}"
        )

    def live(self, name: str, files: Iterable[tuple[int, str]]) -> None:
        """Note in which file each hour stands."""
        rows = [(hour, str(self.archive.path(file))) for hour, file in files]
        columns = {"hour": [hour for hour, _ in rows], "file": [file for _, file in rows]}
        self.db.register(name, pa.table(columns, schema=_LIVE))

    def tell(self, parts: Sequence[Part], until: Heads | None = None) -> None:
        """Let the view `event` show the events of some parts, each once, none beyond `until`."""
        self.hold(parts, until)
        several = len({part.journal for part in parts}) > 1
        if not several or not self.db.execute(_MAYBE_TWICE).fetchall():
            self.db.execute(
                "CREATE OR REPLACE TEMP VIEW event AS SELECT *, journal AS also FROM told"
            )
            return
        self.db.execute(_TWICE)
        for (event_id,) in self.db.execute(_CONFLICT).fetchall():
            raise OperatorError(
                "event_conflict",
                f"Event {event_id} stands in two journals with two contents: find out which is "
                "true (`sluice audit verify`) before anything is rated.",
            )
        self.db.execute(_ONCE)

    def _again(self, events: EventSource, now: datetime | None = None) -> Caught:
        self.archive.index.clear()
        again = self.archive.catch_up(events, now)
        return Caught(again.events, again.late, rebuilt=True)

    def _dirty(self) -> list[Part]:
        """Parts of the hours whose sums are not those of their events."""
        rolled = self.archive.index.rolled()
        dirty: list[Part] = []
        for hour, found in groupby(self.archive.index.parts(), key=lambda part: part.hour):
            parts = list(found)
            if hour not in rolled or rolled[hour].inputs != inputs_of(parts):
                dirty += parts
        return dirty

    def _roll_all(self, parts: Iterable[Part]) -> None:
        for batch in _batches(parts):
            self._roll(batch)

    def _roll(self, parts: Sequence[Part]) -> None:
        self.tell(parts)
        files = (
            *self.archive.write(table(self.db, USAGE_BY_HOUR), "hours/usage"),
            *self.archive.write(table(self.db, CHARGED_BY_HOUR), "hours/charged"),
        )
        by_hour = groupby(parts, key=lambda part: part.hour)
        self.archive.index.put_rolled(
            Rolled(hour, inputs_of(list(found)), *files) for hour, found in by_hour
        )


@contextmanager
def rollups(folder: Path, limits: Limits = MODEST) -> Iterator[Rollups]:
    """The roll-ups over the archive in a folder; others wait until this is done."""
    with opened(folder) as archive, engine(folder / "spill", limits) as db:
        yield Rollups(archive, db)


def state_of(archive: Archive) -> RollupState:
    """How far the roll-ups are, as they were brought up to date last."""
    parts = archive.index.parts()
    mark = archive.index.waterline().watermark
    hours = {part.hour for part in parts}
    open_hours = sum(hour >= closed_hours(mark) for hour in hours)
    events, late = (sum(getattr(part, name) for part in parts) for name in ("events", "late"))
    return RollupState(mark, events, late, len(hours), open_hours)


def inputs_of(parts: Sequence[Part]) -> str:
    """The content that an hour is added up from, as one name."""
    return hashlib.sha256(":".join(sorted(part.sha256 for part in parts)).encode()).hexdigest()


def _batches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Whole hours, together not many more events than are added up at once."""
    batch: list[Part] = []
    for _, of_hour in groupby(parts, key=lambda part: part.hour):
        batch += of_hour
        if sum(part.events for part in batch) >= _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def quoted(value: object) -> str:
    """A text as SQL writes it."""
    return "'" + str(value).replace("'", "''") + "'"
