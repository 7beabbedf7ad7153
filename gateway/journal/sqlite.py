"""The journal of one serving process: group commit in front of its stores, checkpoints beside.

Without PostgreSQL the node's SQLite file is the store. With it, the file is the spool that takes
over while PostgreSQL is away, and a thread ships it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from gateway.journal import standing
from gateway.journal.anchor import Anchor, Anchored
from gateway.journal.central import Central, nothing
from gateway.journal.charges import Charged, Charges
from gateway.journal.checkpoint import CheckpointFile
from gateway.journal.counters import Counters, Hold, UsageCounters
from gateway.journal.direct_start import count_late, open_direct, unfolded
from gateway.journal.entry import Entry
from gateway.journal.group import GroupCommit, Pace
from gateway.journal.idempotency import InFlight, KeyName, Remembered, find
from gateway.journal.port import JournalDamaged, JournalUnavailable
from gateway.journal.postgres import StoreDown
from gateway.journal.reader import charged
from gateway.journal.schema import connect_reading
from gateway.journal.spool import Spool
from gateway.journal.stamp import Stamp, Stamper
from gateway.journal.standing import FOLD_EVERY, Standing
from gateway.journal.stores import Direct, Signed, Stores
from gateway.journal.tree import Grown
from gateway.metrics import meters
from gateway.tracing import span
from metering.overlap import REPEAT_WINDOW
from metering.usage import time_of, time_text


@dataclass(frozen=True)
class Checkpointing:
    """A checkpoint follows this many events, or the first event after this much time."""

    events: int = 1000
    period: timedelta = timedelta(minutes=10)
    anchor: Anchor | None = None
    """Where they are kept as well, out of this host's reach."""

    def signed(self, file: CheckpointFile, tree: Callable[[], Grown]) -> Signed:
        """Checkpoints of a chain at this pace."""
        anchored = None
        if self.anchor is not None:
            anchored = Anchored(self.anchor, file.journal_id, file.path)
        return Signed(file, tree, self.events, self.period, anchored)


@dataclass(frozen=True)
class CentralStore:
    """The PostgreSQL that this node's events belong in. `dsn` is the role's that may only add."""

    dsn: str
    node: str


STEADY = Pace()
REGULAR = Checkpointing()


class SqliteJournal:
    """Journal, counters and clock of one serving process. Make it with `open`."""

    def __init__(self, spool: Spool, checkpoints: CheckpointFile, every: Checkpointing) -> None:
        self._looking = connect_reading(spool.path, shared=True)
        self.counters = Counters(Charges(self._charged))
        self.answering = InFlight()
        self.journal_id = spool.journal_id
        self._spool = spool
        self._stores = Stores(spool, every.signed(checkpoints, lambda: spool.tree))
        self._central: Central | None = None
        self._stamper = Stamper(_time(spool.head.time))

    @classmethod
    def open(
        cls,
        path: Path,
        keys: Path,
        now: datetime,
        pace: Pace = STEADY,
        *,
        every: Checkpointing = REGULAR,
        store: CentralStore | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
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
                if spool.head.seq - standing.folded(journal._looking) > 10 * FOLD_EVERY:
                    journal._stores.fold()  # a journal of before there were sums
                if store is not None:
                    journal._go_past_the_spool(store, keys, clock, every, undo)
                journal._restore(now, clock)
                journal._stores.settled()
                undo.pop_all()
        except sqlite3.DatabaseError as error:
            raise JournalDamaged(f"{path} cannot be used: {error}") from error
        stores = journal._stores
        journal._group = GroupCommit(stores.append, stores.settled, journal._reopen, pace)
        if journal._central is not None:
            journal._central.start()
        return journal

    _group: GroupCommit

    @property
    def healthy(self) -> bool:
        """Whether the last write went through; a health probe shows this."""
        return self._group.healthy

    @property
    def counted(self) -> bool:
        """Whether the counters have everything this node has used."""
        return self.counters.complete

    def stamp(self, now: datetime) -> Stamp:
        """Event id and time of one call; ask once, use both everywhere."""
        return self._stamper.stamp(now)

    async def record(self, entry: Entry, hold: Hold | None = None) -> None:
        """Return once the entry is on stable storage (see `port.Journal`).

        A `hold` is settled with the entry's usage if and only if it was stored.
        """
        done = hold.hand_over(entry.usage.qty, entry.usage) if hold and entry.usage else None
        with span("journal.record"):
            await self._group.record(entry, done)

    def record_now(self, entry: Entry) -> None:
        """The same for callers without an event loop; blocks."""
        self._group.submit(entry).result()

    async def remembered(self, name: KeyName) -> Remembered | None:
        """What was answered under a key by this node; where PostgreSQL is the store, by any."""
        found = find(self._looking, name)
        if found is None and self._central is not None:
            return await self._central.remembered(name)
        return found

    async def foresee(
        self, tenant: str, release: str, places: Collection[int], now: datetime
    ) -> None:
        """Learn what other nodes charged at these places, before an answer claims them."""
        if self._central is None or not self._central.up:
            return
        after, charges = now - REPEAT_WINDOW, self.counters.charges
        if missing := charges.unlearnt(tenant, release, places, after):
            told = await self._central.charged(tenant, release, missing, after)
            if told is not None:
                charges.learn(tenant, release, missing, told)

    def sign_soon(self) -> None:
        """Let the heads be signed before long: somebody waits for a proof."""
        self._group.errand(self._sign)

    def another_since(self, moment: datetime) -> str | None:
        """Another node that was alive since then and has the same central store, if any."""
        return None if self._central is None else self._central.another_since(moment)

    def usage_counters(self, grant: str, now: datetime) -> UsageCounters:
        """What a grant has used or reserved."""
        return self.counters.usage(grant, now)

    def close(self) -> None:
        """Write what waits, sign the ends of the chains, let others have the journal."""
        self._group.close()
        try:
            self._stores.close()
        finally:
            self._looking.close()
            self._spool.close()

    def _go_past_the_spool(
        self,
        store: CentralStore,
        keys: Path,
        clock: Callable[[], datetime],
        every: Checkpointing,
        undo: ExitStack,
    ) -> None:
        """Write into the central store from now on, while it answers."""
        direct = open_direct(
            store.dsn, store.node, self._spool, keys=keys, clock=clock, signed=every.signed
        )
        undo.callback(direct.store.close)
        undo.callback(direct.central.close)
        self._stores.direct, self._central = direct, direct.central

    def _restore(self, now: datetime, clock: Callable[[], datetime]) -> None:
        last, direct = self._spool.head.time, self._stores.direct
        if direct is not None:
            last = max(last, direct.store.head.time)
            self._stamper = Stamper(_time(last))
            folded = standing.direct_folded(self._looking)
            found = unfolded(direct, self._spool, folded, max(now, _time(last)))
            if found is None:
                self._fall_behind(direct, folded, clock)
            direct.unfolded += found or []
            self._stores.fold()
        latest = max(now, _time(last))
        known = Standing(self._looking, self._spool.head.seq, latest)
        self.counters.restore(known.totals(), known.queries(), known.billable(), latest)

    def _fall_behind(
        self, direct: Direct, folded: tuple[int, bool], clock: Callable[[], datetime]
    ) -> None:
        """Start without knowing the end of the direct chain; it is counted when it can be read."""

        def catch_up() -> None:
            last = _time(direct.store.head.time)
            now = max(clock(), last)
            found = unfolded(direct, self._spool, folded, now)
            if found is None:
                raise StoreDown
            self._stamper.not_before(last)
            direct.unfolded += found
            self._stores.behind = False
            direct.before_use = direct.central.when_there = nothing
            count_late(self.counters, found, now)

        self._stores.fall_behind()
        self.counters.complete = False
        meters.counted(complete=False)
        direct.lost()
        direct.before_use = catch_up
        direct.central.when_there = lambda: self._group.errand(direct.arrive)

    def _charged(
        self, tenant: str, release: str, places: Collection[int], after: datetime
    ) -> list[tuple[int, Charged]]:
        """What is on record in the file; `Charges` lets one thread in at a time."""
        try:
            return charged(self._looking, tenant, release, places, after)
        except sqlite3.Error as error:
            sorry = "The journal cannot be read at the moment; try again later."
            raise JournalUnavailable("journal_down", sorry) from error

    def _sign(self) -> None:
        """An errand must not raise; what fails here is done at the next checkpoint."""
        with suppress(OSError, sqlite3.Error):
            self._stores.sign()

    def _reopen(self) -> None:
        self._stores.reopen(time_text(datetime.now(UTC)))


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
