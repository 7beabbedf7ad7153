"""Control groups, where this process may make them: memory and processes of a whole run together.

Both hierarchies are known: version 1 where its controllers are mounted and writable, version 2 in a
group that was delegated (the setting `sandbox_cgroup` names it). Where neither is, a run is
measured by its supervisor instead (`sandbox.jobs.watching`), and resource limits bind each process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_PARENT: Final = "sluice-jobs"
NONE: Final = "-"
"""Instead of a group's name: use none."""


@dataclass(frozen=True)
class Group:
    """The group of one attempt: one folder in version 2, one for each controller in version 1."""

    memory: Path
    pids: Path
    cpu: Path
    unified: bool

    def enter(self) -> None:
        """Move this process into the group."""
        for folder in self._folders():
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def cpu_seconds(self) -> float:
        """Processor time of everything that ran in the group."""
        if not self.unified:
            return int((self.cpu / "cpuacct.usage").read_text()) / 1e9
        first = (self.cpu / "cpu.stat").read_text().split()
        return int(first[1]) / 1e6

    def peak_memory(self) -> int:
        """Most bytes of memory at once, as far as the kernel tells."""
        name = "memory.peak" if self.unified else "memory.max_usage_in_bytes"
        with suppress(OSError):
            return int((self.memory / name).read_text())
        return 0

    def out_of_memory(self) -> bool:
        """Whether the kernel had to kill something in the group."""
        name = "memory.events" if self.unified else "memory.oom_control"
        lines = (self.memory / name).read_text().splitlines()
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)

    def clear(self) -> None:
        """Kill what is in the group, and remove it."""
        for _ in range(100):
            left = list(self._members())
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left and self._removed():
                return
            sleep(0.02)

    def _removed(self) -> bool:
        for folder in self._folders():
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True

    def _members(self) -> Iterator[int]:
        with suppress(OSError):
            yield from map(int, (self.pids / "cgroup.procs").read_text().split())

    def _folders(self) -> set[Path]:
        return {self.memory, self.pids, self.cpu}


def group_of(attempt_id: str, delegated: str) -> Group | None:
    """Where the attempt's group is or would be; None where this process may make none."""
    if delegated == NONE:
        return None
    if delegated:
        at = _ROOT / delegated.strip("/") / attempt_id
        return Group(at, at, at, unified=True)
    parents = [_ROOT / kind for kind in ("memory", "pids", "cpuacct")]
    if all((p / "cgroup.procs").exists() and os.access(p, os.W_OK) for p in parents):
        memory, pids, cpu = (p / _PARENT / attempt_id for p in parents)
        return Group(memory, pids, cpu, unified=False)
    return None


def made(attempt_id: str, delegated: str, memory: int, processes: int) -> Group | None:
    """Make the attempt's group, of at most `memory` bytes and `processes`; None if none can be."""
    group = group_of(attempt_id, delegated)
    if group is None:
        return None
    for folder in group._folders():
        folder.mkdir(parents=True, exist_ok=True)
    if group.unified:
        (group.memory / "memory.oom.group").write_text("1")
        (group.memory / "memory.max").write_text(str(memory))
        with suppress(OSError):
            (group.memory / "memory.swap.max").write_text("0")
    else:
        (group.memory / "memory.limit_in_bytes").write_text(str(memory))
        with suppress(OSError):  # there only where the kernel accounts for swap
            (group.memory / "memory.memsw.limit_in_bytes").write_text(str(memory))
    (group.pids / "pids.max").write_text(str(processes))
    return group
