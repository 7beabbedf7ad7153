"""Where a batch goes: straight into PostgreSQL while it answers, else into this node's spool.

Belongs to the writer thread. What each store took is signed in checkpoints of its own chain.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from gateway.errors import OperatorError
from gateway.journal.anchor import Anchored
from gateway.journal.central import Central, nothing
from gateway.journal.checkpoint import CheckpointFile
from gateway.journal.entry import Entry
from gateway.journal.port import JournalDamaged
from gateway.journal.postgres import DirectStore, StoreDown
from gateway.journal.spool import Head, Spool
from gateway.journal.standing import FOLD_EVERY, Folding
from gateway.journal.tree import Grown
from gateway.metrics import meters
from gateway.tlog.merkle import root
from gateway.tlog.tiles import Roots, Tree
from metering.usage import UsageEvent, time_of

log = logging.getLogger(__name__)


class Signed:
    """Checkpoints of one chain, made where one is due: in the tree's notes beside the chain, in the
    file, and in the anchor."""

    def __init__(
        self,
        file: CheckpointFile,
        tree: Callable[[], Grown],
        events: int,
        period: timedelta,
        anchored: Anchored | None,
    ) -> None:
        self.file, self._tree, self._events, self._period = file, tree, events, period
        self._anchored = anchored
        self._roots: Roots = {}

    def look(self, head: Head) -> None:
        """Sign the head if enough happened since the last time."""
        if not head.seq:
            return
        aged = not self.file.time or time_of(head.time) - time_of(self.file.time) >= self._period
        if aged or head.seq - self.file.seq >= self._events:
            self.sign(head)

    def sign(self, head: Head) -> None:
        """Sign the head unless it is signed."""
        if head.seq > self.file.seq:
            self.file.append(head.seq, head.hash, head.time, self._noted(head))
            self.anchor()

    def anchor(self) -> None:
        """Put into the anchor what is not there yet; next time, where it cannot be reached."""
        if self._anchored is None:
            return
        try:
            self._anchored.catch_up()
        except OSError as error:
            log.error("the audit anchor takes no checkpoint: %s", type(error).__name__)
            meters.anchored(reached=False)
        else:
            meters.anchored(reached=True)

    def _noted(self, head: Head) -> str:
        """The signed note of the tree up to the head; empty while the store cannot be read."""
        kept = self._tree()
        tree = Tree(kept, self._roots)
        try:
            tiles = list(tree.missing(head.seq))
            note = self.file.note(head.seq, head.hash, head.time, root(head.seq, tree.node))
            kept.keep(tiles, head.seq, note)
        except (StoreDown, LookupError) as error:
            log.warning("a checkpoint has no tree: %s", type(error).__name__)
            return ""
        return note


class Direct:
    """The way into the central store, taken while it answers."""

    def __init__(self, store: DirectStore, central: Central, signed: Signed) -> None:
        self.store, self.central, self.signed = store, central, signed
        self.unfolded: list[UsageEvent] = []
        self.before_use: Callable[[], None] = nothing
        """What must have succeeded before anything is recorded here; raises `StoreDown`."""
        self._connected = True

    def append(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """As `Spool.append`; raises `StoreDown`, and the spool is next."""
        if not self._connected:
            self._connect()
        try:
            outcomes = self.store.append(entries)
        except StoreDown:
            self.lost()
            raise
        self._took(entries, outcomes)
        return outcomes

    @property
    def reachable(self) -> bool:
        """Whether an append would be sent: then its outcome may stay unknown."""
        return self._connected or self.central.up

    def lost(self) -> None:
        """Not again before somebody has seen it answer."""
        self._connected = False
        self.central.lost()

    def arrive(self) -> None:
        """Take the way as soon as it is there, also where nothing is to be recorded."""
        with suppress(StoreDown):
            if not self._connected:
                self._connect()

    def folding(self) -> Folding:
        """What was recorded here and is not in the sums yet."""
        head = self.store.head
        return Folding(head.seq, head.time, tuple(self.unfolded))

    def _connect(self) -> None:
        if not self.central.up:
            raise StoreDown
        try:
            self.store.connect()
            check_end(self.store, self.signed.file)
            self.before_use()
        except StoreDown:
            self.lost()
            raise
        except OperatorError as error:
            log.error("PostgreSQL is not written: %s [%s]", error.message, error.code)
            self.lost()
            raise StoreDown from error
        self._connected = True

    def _took(self, entries: Sequence[Entry], outcomes: Sequence[Exception | None]) -> None:
        for entry, outcome in zip(entries, outcomes, strict=True):
            if outcome is None and entry.usage is not None:
                self.unfolded.append(entry.usage)


class Stores:
    """The spool, and the way past it where there is one."""

    def __init__(self, spool: Spool, signed: Signed) -> None:
        self.spool, self._signed = spool, signed
        self.direct: Direct | None = None
        self._folded = 0
        self._complete = True
        self.behind = False
        """Whether the sums lack events of the direct chain that nobody could read yet."""
        self._closed = False

    def append(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Make entries durable; per entry, None or why that one was refused."""
        began = time.perf_counter()
        outcomes = self._append(entries)
        meters.committed(outcomes.count(None), time.perf_counter() - began)
        return outcomes

    def settled(self) -> None:
        """After a batch: sign the heads and bring the sums up to date where that is due."""
        self._signed.look(self.spool.head)
        recorded = self.spool.head.seq - self._folded
        if self.direct is not None:
            self.direct.signed.look(self.direct.store.head)
            recorded += len(self.direct.unfolded)
        if recorded >= FOLD_EVERY:
            self.fold()

    def fold(self) -> None:
        """Bring the sums up to date."""
        if self.direct is None or self.behind:
            self.spool.fold(complete=self._complete)
        else:
            self.spool.fold(self.direct.folding(), complete=self._complete)
            self.direct.unfolded.clear()
        self._folded = self.spool.head.seq

    def fall_behind(self) -> None:
        """The sums stay incomplete until what they lack was read."""
        self.behind, self._complete = True, False

    def sign(self) -> None:
        """Sign the heads now."""
        self._signed.sign(self.spool.head)
        if self.direct is not None:
            self.direct.signed.sign(self.direct.store.head)

    def reopen(self, now: str) -> None:
        """After trouble: a probe must go through to the disk."""
        self.spool.reopen(now)
        self.settled()

    def close(self) -> None:
        """Sign the ends of the chains, and leave the sums complete. Harmless twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self.sign()
            self._complete = not self.behind
            with suppress(sqlite3.Error):  # sums that cannot be written are made at the next start
                self.fold()
        finally:
            if self.direct is not None:
                self.direct.central.close()
                self.direct.store.close()

    def _append(self, entries: Sequence[Entry]) -> list[Exception | None]:
        unsure: Sequence[str] = ()
        if self.direct is not None:
            reached = self.direct.reachable
            with suppress(StoreDown):
                self._leave_the_sums()
                outcomes = self.direct.append(entries)
                meters.spool_mode(direct=True)
                return outcomes
            meters.spool_mode(direct=False)
            unsure = [entry.event_id for entry in entries if entry.usage] if reached else ()
        return self.spool.append(entries, unsure)

    def _leave_the_sums(self) -> None:
        """Before anything goes past the spool: from here on a crash leaves the sums incomplete."""
        if self._complete and self.direct is not None and self.direct.reachable:
            self._complete = False
            self.fold()


def check_end(store: DirectStore, checkpoints: CheckpointFile) -> None:
    """The direct chain still has the event that was last signed."""
    if not checkpoints.seq:
        return
    found = store.hash_at(checkpoints.seq)
    if found is None or found.hex() != checkpoints.hash:
        raise JournalDamaged(
            f"PostgreSQL does not hold event {checkpoints.seq} of {store.journal_id} as its"
            " checkpoint signed it; it was restored from an older copy or changed"
        )


def direct_path(spool: Path) -> Path:
    """The name that the direct chain's checkpoints go by."""
    return spool.with_suffix(".direct")
