"""Independent parts of a build side by side, each in a process of its own.

NumPy holds the interpreter for most of a build, so threads would not help. Workers are spawned
fresh (no forked database threads) and die with their parent, so that a killed build leaves nobody
writing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import TypeAlias, TypeVar

Part = TypeVar("Part")
Made = TypeVar("Made")
Note: TypeAlias = tuple[int, str, float]  # which part, what it does, share done
Tell: TypeAlias = Callable[[str, float], None]

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_notes: list[Queue[Note]] = []  # one per worker process, set once at its start


def side_by_side(
    work: Callable[[Part, Tell], Made], parts: Sequence[Part], tell: Tell
) -> list[Made]:
    """`work` of every part, in the order of the parts; `tell` hears what is done and how far."""
    if len(parts) < 2 or (os.cpu_count() or 1) < 2:
        return [work(part, tell) for part in parts]
    context = get_context("spawn")
    notes: Queue[Note] = context.Queue()
    most = min(len(parts), os.cpu_count() or 1)
    with ProcessPoolExecutor(most, context, _begin, (notes, os.getpid())) as pool:
        running = [pool.submit(_run, work, part, number) for number, part in enumerate(parts)]
        _listen(running, notes, tell)
        return [future.result() for future in running]


def _begin(notes: Queue[Note], parent: int) -> None:
    _notes.append(notes)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to die with it
            os._exit(1)


def _run(work: Callable[[Part, Tell], Made], part: Part, number: int) -> Made:
    return work(part, partial(_note, number))


def _note(number: int, doing: str, done: float) -> None:
    _notes[0].put((number, doing, done))


def _listen(running: Sequence[Future[Made]], notes: Queue[Note], tell: Tell) -> None:
    shares = [0.0] * len(running)
    while not all(future.done() for future in running):
        try:
            number, doing, done = notes.get(timeout=_POLL_SECONDS)
        except Empty:
            continue
        shares[number] = done
        tell(doing, sum(shares) / len(shares))
