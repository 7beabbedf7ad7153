"""Group commit: many calls wait, one thread writes, one sync serves the whole batch.

The writer takes what is queued: at once when it was idle, and while busy it waits up to `linger`
for a batch as large as the last one. A batch costs one transaction and one wake-up of the loop.

A batch of many is at most half of the callers there are. The other half is answered and prepared
meanwhile, so that loop and writer work at the same time; with all of them in one batch, each would
wait for the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TypeAlias
from weakref import WeakKeyDictionary

from gateway.journal.entry import Entry
from gateway.journal.port import JournalUnavailable
from gateway.journal.seal import prepare
from gateway.metrics import meters

Done: TypeAlias = Callable[[bool], None]
Append: TypeAlias = Callable[[list[Entry]], list[Exception | None]]


@dataclass(frozen=True)
class Pace:
    """How the writer works. Times in seconds."""

    batch: int = 256
    linger: float = 0.001
    capacity: int = 4096
    patience: float = 10.0
    probe_every: float = 0.25
    together: int = 32
    """So few calls are one batch: for them a second sync costs more than waiting does."""


@dataclass(slots=True, eq=False)
class _Pending:
    entry: Entry
    waiter: asyncio.Future[None] | Future[None]
    done: Done | None = None
    until: float = inf
    """When its loop no longer waits for it to be begun."""

    def of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether somebody on this loop waits for it."""
        return not isinstance(self.waiter, Future) and self.waiter.get_loop() is loop


Outcomes: TypeAlias = list[tuple[_Pending, Exception | None]]


class GroupCommit:
    """Front of a synchronous store: `append` writes a batch, `settled` follows a good batch,
    `reopen` makes the store fit again after an error. All three run in the writer thread."""

    def __init__(
        self,
        append: Append,
        settled: Callable[[], None],
        reopen: Callable[[], None],
        pace: Pace,
    ) -> None:
        self._append, self._settled, self._reopen = append, settled, reopen
        self._pace = pace
        self._queue: deque[_Pending] = deque()
        self._turn = threading.Condition()
        self._idle = False
        self._callers = 0
        self._rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Entry]]
        self._rounds = WeakKeyDictionary()
        self._closing = threading.Event()
        self._to_do: deque[Callable[[], None]] = deque()
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the last write went through."""
        return self._fault is None and not self._closing.is_set()

    async def record(self, entry: Entry, done: Done | None = None) -> None:
        """Return once the entry is durable. `done` is told whether it was stored, exactly once,
        also when the caller is cancelled while the entry is being written; it goes then."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        pending = _Pending(entry, waiter, done, loop.time() + self._pace.patience)
        self._enqueue(pending, loop)
        try:
            await waiter
        except asyncio.CancelledError:
            if self._withdraw(pending):
                _tell(pending, stored=False)
            elif waiter.cancelled():  # else whoever holds a key of the call would let go of it
                await _known(pending, loop)
            raise

    def submit(self, entry: Entry) -> Future[None]:
        """The same for callers without an event loop."""
        waiter: Future[None] = Future()
        self._enqueue(_Pending(entry, waiter))
        return waiter

    def errand(self, doing: Callable[[], None]) -> None:
        """Let the writer do something between two batches, soon; it must not raise."""
        with self._turn:
            if doing not in self._to_do:
                self._to_do.append(doing)
            if self._idle:
                self._turn.notify()

    def close(self) -> None:
        """Write what is queued, then stop. New entries are refused from here on."""
        with self._turn:
            self._closing.set()
            self._turn.notify()
        self._thread.join()

    def _enqueue(self, pending: _Pending, loop: asyncio.AbstractEventLoop | None = None) -> None:
        with self._turn:
            refusal = self._refusal()
            if refusal is None:
                self._queue.append(pending)
                if self._idle and loop is None:
                    self._turn.notify()
        if refusal is not None:
            meters.lost(1)
            _tell(pending, stored=False)
            raise refusal
        if loop is not None:
            self._announce(pending, loop)

    def _announce(self, pending: _Pending, loop: asyncio.AbstractEventLoop) -> None:
        """Let what the loop does at the moment come to its end first: the calls of one round are
        prepared together, which costs less, and the writer is woken once for them all."""
        coming = self._rounds.get(loop)
        if coming is None:
            coming = self._rounds[loop] = []
            loop.call_at(pending.until, self._look_after, loop)
        if not coming:
            loop.call_soon(self._round_over, coming)
        coming.append(pending.entry)

    def _round_over(self, coming: list[Entry]) -> None:
        entries = coming.copy()
        coming.clear()
        try:
            for entry in entries:
                prepare(entry)
        finally:
            with self._turn:
                if self._idle:
                    self._turn.notify()

    def _refusal(self) -> JournalUnavailable | None:
        if self._fault or self._closing.is_set():
            return _down()
        if len(self._queue) >= self._pace.capacity:
            full = "Too many calls wait for the journal; try again later."
            return JournalUnavailable("journal_full", full)
        return None

    def _withdraw(self, pending: _Pending) -> bool:
        """Take an entry back while nobody has begun to write it."""
        with self._turn, suppress(ValueError):
            self._queue.remove(pending)
            return True
        return False

    def _look_after(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse what waited too long, and come back when the next may have. One timer serves all
        calls of a loop: one for each would cost as much as queueing the call."""
        if self._closing.is_set():
            return
        with self._turn:
            mine = [one for one in self._queue if one.of(loop)]
        late = [one for one in mine if one.until <= loop.time()]
        for pending in late:
            self._give_up(pending)
        # Whoever comes later is due later, so nobody is missed until then.
        again = next((one.until for one in mine[len(late) :]), loop.time() + self._pace.patience)
        loop.call_at(again, self._look_after, loop)

    def _give_up(self, pending: _Pending) -> None:
        """Refuse an entry that waited too long. One being written is waited for: whether it is
        stored must be known, or a repeat of the call might be charged twice."""
        if self._withdraw(pending):
            meters.lost(1)
            slow = "The journal does not keep up; try again later."
            _settle(pending, JournalUnavailable("journal_slow", slow))

    def _run(self) -> None:
        size = 0
        while batch := self._next(size):
            size = len(batch)
            self._write(batch)
            if self._fault:
                self._recover()

    def _errands(self) -> None:
        """Done by the writer with the turn let go of, so that calls can queue meanwhile."""
        while self._to_do and not self._closing.is_set():
            doing = self._to_do.popleft()
            self._turn.release()
            try:
                doing()
            finally:
                self._turn.acquire()

    def _next(self, last: int) -> list[_Pending]:
        """The next batch; empty when closing and nothing is left."""
        with self._turn:
            self._errands()
            while not self._queue and not self._closing.is_set():
                self._idle = True
                self._turn.wait_for(lambda: self._queue or self._to_do or self._closing.is_set())
                self._idle = False
                self._errands()
                last = 0
            if len(self._queue) < last and not self._closing.is_set():
                # Not notified while lingering: the wait ends by time alone, at no cost to callers.
                self._turn.wait(self._pace.linger)
            waiting = len(self._queue)
            half = (max(self._callers, waiting) + 1) // 2
            count = min(waiting, self._pace.batch, max(half, self._pace.together))
            return [self._queue.popleft() for _ in range(count)]

    def _has_work(self) -> bool:
        return bool(self._queue or self._to_do or self._closing.is_set())

    def _write(self, batch: list[_Pending]) -> None:
        try:
            outcomes = self._append([one.entry for one in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, no waiter may be left hanging
            self._fail(batch, error)
            return
        self._callers = len(batch) + len(self._queue)
        _deliver(zip(batch, outcomes, strict=True))
        try:
            self._settled()
        except (OSError, sqlite3.Error) as error:
            self._fail([], error)

    def _fail(self, batch: list[_Pending], error: Exception) -> None:
        """Refuse the batch and whatever queued behind it: an answer whose event builds on one that
        failed (a free repeat of it) must not be recorded in its stead."""
        with self._turn:
            self._fault = type(error).__name__
            batch = [*batch, *self._queue]
            self._queue.clear()
        meters.lost(len(batch))
        _deliver((one, _down()) for one in batch)

    def _recover(self) -> None:
        """Probe until a write goes through; meanwhile every call is refused at once."""
        while not self._closing.wait(self._pace.probe_every):
            with suppress(Exception):
                self._reopen()
                self._fault = None
                return


async def _known(pending: _Pending, loop: asyncio.AbstractEventLoop) -> None:
    """Return once it is known whether an entry that is being written is stored: a repeat of its
    call that came before that might be charged twice."""
    waiter = pending.waiter = loop.create_future()
    with suppress(JournalUnavailable):
        await waiter


def _down() -> JournalUnavailable:
    return JournalUnavailable(
        "journal_down", "The journal cannot write at the moment; try again later."
    )


def _deliver(outcomes: Iterable[tuple[_Pending, Exception | None]]) -> None:
    """Wake all waiters of a batch, with one hand-over per event loop."""
    loops: dict[asyncio.AbstractEventLoop, Outcomes] = {}
    for pending, error in outcomes:
        if isinstance(pending.waiter, Future):
            _settle(pending, error)
        else:
            loops.setdefault(pending.waiter.get_loop(), []).append((pending, error))
    for loop, settled in loops.items():
        with suppress(RuntimeError):  # the loop is gone, and with it everybody who waited
            loop.call_soon_threadsafe(_settle_all, settled)


def _settle_all(outcomes: Outcomes) -> None:
    for pending, error in outcomes:
        _settle(pending, error)


def _settle(pending: _Pending, error: Exception | None) -> None:
    _tell(pending, stored=error is None)
    if pending.waiter.done():  # cancelled meanwhile
        return
    if error is None:
        pending.waiter.set_result(None)
    else:
        pending.waiter.set_exception(error)


def _tell(pending: _Pending, *, stored: bool) -> None:
    if pending.done is not None:
        pending.done(stored)
