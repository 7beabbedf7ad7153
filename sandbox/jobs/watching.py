"""Measure a run from outside, where no control group does: all processes of its namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def space_within(pid: int) -> str:
    """The PID namespace that a process made for its child; empty before and after."""
    with suppress(OSError, IndexError):
        child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        space = str(Path(f"/proc/{child}/ns/pid").readlink())
        if space != str(Path(f"/proc/{pid}/ns/pid").readlink()):
            return space
    return ""


def memory_of(space: str) -> int:
    """Bytes of memory of all processes in the namespace, shared pages in proportion."""
    return sum(_proportional(pid) for pid in _members(space))


def _members(space: str) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if str((folder / "ns" / "pid").readlink()) == space:
                    yield int(folder.name)


def _proportional(pid: int) -> int:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))
    return 0
