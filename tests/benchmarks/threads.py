"""CPU of a server by what its threads do, as the kernel counts it: `/proc/<pid>/task/*/schedstat`.

The thread that runs the event loop is the process's first one; those named `journal` write.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """Seconds of CPU: of the event loop, of the writer, and of the whole process."""

    loop: float
    writer: float
    whole: float

    def __sub__(self, before: Spent) -> Spent:
        return Spent(
            self.loop - before.loop, self.writer - before.writer, self.whole - before.whole
        )


def writers() -> list[int]:
    """The kernel's numbers of this process's threads that write a journal."""
    found = (one.native_id for one in threading.enumerate() if one.name == "journal")
    return [number for number in found if number is not None]


def spent(pid: int, writing: list[int]) -> Spent:
    """What a process has used until now; `writing` as its `writers` told it."""
    return Spent(_of(pid, pid), sum(_of(pid, one) for one in writing), _whole(pid))


def _of(pid: int, thread: int) -> float:
    return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e9


def _whole(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
