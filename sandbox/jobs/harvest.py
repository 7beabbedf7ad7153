"""Take the declared outputs of a run that is over, and nothing else."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

_AS_IT_IS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def gather(source: Path, target: Path, declared: tuple[str, ...], most: int) -> list[str]:
    """Copy regular files of the declared names from `source` to `target`, at most `most` bytes.

    Returns why something was left: a link, a pipe or a folder in a file's place, too much of it,
    and how many files bore other names (a name may itself carry data, so it is not told).
    """
    left: list[str] = []
    opened = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name in declared:
            why = _taken(opened, name, target / name, most)
            if why:
                left.append(f"{name}: {why}")
            elif (target / name).exists():
                most -= (target / name).stat().st_size
        others = len({each.name for each in os.scandir(opened)} - set(declared))
    finally:
        os.close(opened)
    if others:
        left.append(f"{others} of undeclared names")
    return left


def _taken(folder: int, name: str, target: Path, most: int) -> str:
    try:
        at = os.open(name, _AS_IT_IS, dir_fd=folder)
    except FileNotFoundError:
        return "not written"
    except OSError:
        return "not a regular file"
    found = os.fstat(at)
    why = _objection(found, most)
    if why:
        os.close(at)
        return why
    with os.fdopen(at, "rb") as read:
        partial = target.with_name(target.name + ".part")
        with partial.open("wb") as written:
            shutil.copyfileobj(read, written, 1 << 20)
        partial.replace(target)
    return ""


def _objection(found: os.stat_result, most: int) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "not a regular file"
    if found.st_nlink != 1:
        return "has another name as well"
    return "too large" if found.st_size > most else ""
