"""Independent jobs of a build side by side, each in one of a few worker processes.

NumPy holds the interpreter for most of a build, so threads would not help. Workers are spawned
fresh (no forked database threads) and die with their parent, so that a killed build leaves nobody
writing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any, ParamSpec, TypeAlias, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")
Tell: TypeAlias = Callable[[str], None]
Then: TypeAlias = Callable[[Any], None]  # takes what its job made, of whatever type that is

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_notes: list[Queue[str]] = []  # one per worker process, set once at its start


class Crew:
    """Does jobs and hands each result to whoever asked for it, in this process."""

    def __init__(
        self,
        pool: ProcessPoolExecutor | None,
        apart: ProcessPoolExecutor | None,
        notes: Queue[str] | None,
        tell: Tell,
    ):
        self._pool, self._apart, self._notes, self._tell = pool, apart, notes, tell
        self._running: dict[Future[Any], Then] = {}
        self._waiting: list[tuple[Callable[[], Any], Then]] = []

    def start(
        self, then: Callable[[Made], None], work: Callable[Given, Made],
        *args: Given.args, **kwargs: Given.kwargs,
    ) -> None:  # fmt: skip
        """Have a job done; `then` gets what it makes. Without workers it is done on `finish`."""
        if self._pool is None:
            self._waiting.append((partial(work, *args, **kwargs), then))
        else:
            self._running[self._pool.submit(work, *args, **kwargs)] = then

    def start_apart(
        self, then: Callable[[Made], None], work: Callable[Given, Made],
        *args: Given.args, **kwargs: Given.kwargs,
    ) -> None:  # fmt: skip
        """Have a job done by the one worker beside the others, if there is one."""
        if self._apart is None:
            self.start(then, work, *args, **kwargs)
        else:
            self._running[self._apart.submit(work, *args, **kwargs)] = then

    def finish(self) -> None:
        """Return when every job is done, those started by a `then` included."""
        while self._waiting or self._running:
            if self._waiting:
                job, then = self._waiting.pop(0)
                then(job())
                continue
            done, _ = wait(self._running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            self._listen()
            for future in done:
                self._running.pop(future)(future.result())

    def _listen(self) -> None:
        while self._notes is not None:
            try:
                self._tell(self._notes.get_nowait())
            except Empty:
                return


@contextmanager
def crew(workers: int, tell: Tell, *, apart: bool = False) -> Iterator[Crew]:
    """Workers for the time of a block; with fewer than two this process does everything itself.

    `apart`: one worker more, for jobs that only wait for others, one after the other.
    """
    if workers < 2 and not apart:
        _here.append(tell)
        try:
            yield Crew(None, None, None, tell)
        finally:
            _here.remove(tell)
        return
    # A processor each is theirs; they read this as they import NumPy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = get_context("spawn")
    notes: Queue[str] = context.Queue()

    def pool(size: int) -> ProcessPoolExecutor | None:
        began = (notes, os.getpid())
        return ProcessPoolExecutor(size, context, _begin, began) if size else None

    many, beside = pool(workers if workers > 1 else 0), pool(int(apart))
    _here.append(tell)
    try:
        yield Crew(many, beside, notes, tell)
    finally:
        _here.remove(tell)
        for one in filter(None, (many, beside)):
            one.shutdown(cancel_futures=True)


_here: list[Tell] = []  # who listens to jobs done in this process


def note(doing: str) -> None:
    """Say what is being done, from inside a job."""
    for queue in _notes:
        queue.put(doing)
    for tell in _here:
        tell(doing)


def _begin(notes: Queue[str], parent: int) -> None:
    _notes.append(notes)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to die with it
            os._exit(1)
