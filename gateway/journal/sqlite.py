"""The default journal: one SQLite file per process, group commit in front, checkpoints beside."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from gateway.journal.charges import Charged, Charges
from gateway.journal.checkpoint import CheckpointFile
from gateway.journal.counters import Counters, Hold, UsageCounters
from gateway.journal.entry import Entry
from gateway.journal.group import GroupCommit, Pace
from gateway.journal.port import JournalDamaged, JournalUnavailable
from gateway.journal.reader import billable_since, charged, queries_since, totals
from gateway.journal.schema import connect_reading
from gateway.journal.spool import Spool
from gateway.journal.stamp import Stamp, Stamper
from metering.calendar import day_begins, month_begins
from metering.usage import time_of, time_text


@dataclass(frozen=True)
class Checkpointing:
    """A checkpoint follows this many events, or the first event after this much time."""

    events: int = 1000
    period: timedelta = timedelta(minutes=10)


STEADY = Pace()
REGULAR = Checkpointing()


class SqliteJournal:
    """Journal, counters and clock of one serving process. Make it with `open`."""

    def __init__(self, spool: Spool, checkpoints: CheckpointFile, every: Checkpointing) -> None:
        self._looking = connect_reading(spool.path, shared=True)
        self.counters = Counters(Charges(self._charged))
        self._spool, self._checkpoints, self._every = spool, checkpoints, every
        self._stamper = Stamper(_time(spool.head.time))

    @classmethod
    def open(
        cls,
        path: Path,
        keys: Path,
        now: datetime,
        pace: Pace = STEADY,
        every: Checkpointing = REGULAR,
    ) -> Self:
        """Take the journal, making it if new; counters stand where the last process left them.

        Refuses when another process holds it, or when its end was cut off behind a checkpoint.
        """
        try:
            with ExitStack() as undo:
                spool = Spool(path, new_id(now), time_text(now))
                undo.callback(spool.close)
                checkpoints = CheckpointFile(path, spool.journal_id, keys)
                _check_end(path, checkpoints)
                journal = cls(spool, checkpoints, every)
                undo.callback(journal._looking.close)
                journal._restore(now)
                journal._checkpoint()
                undo.pop_all()
        except sqlite3.DatabaseError as error:
            raise JournalDamaged(f"{path} cannot be used: {error}") from error
        journal._group = GroupCommit(spool.append, journal._settled, journal._reopen, pace)
        return journal

    _group: GroupCommit

    @property
    def healthy(self) -> bool:
        """Whether the last write went through; a health probe shows this."""
        return self._group.healthy

    def stamp(self, now: datetime) -> Stamp:
        """Event id and time of one call; ask once, use both everywhere."""
        return self._stamper.stamp(now)

    async def record(self, entry: Entry, hold: Hold | None = None) -> None:
        """Return once the entry is on stable storage (see `port.Journal`).

        A `hold` is settled with the entry's usage if and only if it was stored.
        """
        done = hold.hand_over(entry.usage.qty, entry.usage) if hold and entry.usage else None
        await self._group.record(entry, done)

    def record_now(self, entry: Entry) -> None:
        """The same for callers without an event loop; blocks."""
        self._group.submit(entry).result()

    def usage_counters(self, grant: str, now: datetime) -> UsageCounters:
        """What a grant has used or reserved."""
        return self.counters.usage(grant, now)

    def close(self) -> None:
        """Write what waits, sign the end of the chain, let others have the journal."""
        self._group.close()
        try:
            self._checkpoint()
        finally:
            self._looking.close()
            self._spool.close()

    def _restore(self, now: datetime) -> None:
        latest = max(now, _time(self._spool.head.time))
        month, day = month_begins(latest), day_begins(latest)
        self.counters.restore(
            totals(self._looking, month, day),
            queries_since(self._looking, day),
            billable_since(self._looking, month),
            latest,
        )

    def _charged(
        self, tenant: str, release: str, places: Collection[int], after: datetime
    ) -> list[tuple[int, Charged]]:
        """What is on record; `Charges` lets one thread in at a time."""
        try:
            return charged(self._looking, tenant, release, places, after)
        except sqlite3.Error as error:
            sorry = "The journal cannot be read at the moment; try again later."
            raise JournalUnavailable("journal_down", sorry) from error

    def _settled(self) -> None:
        """After a batch: sign the head where a checkpoint is due."""
        head, last = self._spool.head, self._checkpoints
        late = _time(head.time) - _time(last.time) >= self._every.period
        if late or head.seq - last.seq >= self._every.events:
            self._checkpoint()

    def _checkpoint(self) -> None:
        head = self._spool.head
        if head.seq > self._checkpoints.seq:
            self._checkpoints.append(head.seq, head.hash, head.time)

    def _reopen(self) -> None:
        self._spool.reopen(time_text(datetime.now(UTC)))
        self._settled()


def new_id(now: datetime) -> str:
    """A UUIDv7 for something that is not a call."""
    return Stamper(now).stamp(now).event_id


def _time(text: str) -> datetime:
    return time_of(text) if text else datetime(1970, 1, 1, tzinfo=UTC)


def _check_end(path: Path, checkpoints: CheckpointFile) -> None:
    """The journal still has the event that was last signed: nobody cut or swapped its end."""
    if not checkpoints.seq:
        return
    with closing(connect_reading(path)) as db:
        row = _hash_at(db, checkpoints.seq)
    if row != checkpoints.hash:
        raise JournalDamaged(
            f"{path} does not hold event {checkpoints.seq} as its checkpoint signed it;"
            " run `sluice audit verify`, and do not serve from it"
        )


def _hash_at(db: sqlite3.Connection, seq: int) -> str:
    row = db.execute("SELECT hash FROM audit_event WHERE seq = ?", (seq,)).fetchone()
    return "" if row is None else bytes(row[0]).hex()
