"""What is made of a folder of policy files, made once for the same content.

A serving process reads its folder several times over while it starts, and an act of the office
reads an edition at every step, though the files are the same. What is made of them is frozen, so
one may serve all. It is known by the content alone: a file that changed is read again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

Made = TypeVar("Made")

_MOST: Final = 8


class Remembered(Generic[Made]):
    """The results of `make` by content of the folder; of failures nothing is kept."""

    def __init__(self, make: Callable[[Path], Made]) -> None:
        self._make = make
        self._known: OrderedDict[bytes, Made] = OrderedDict()
        self._gate = threading.Lock()

    def of(self, folder: Path) -> Made:
        """What `make` makes of the folder as it is now; raises what `make` raises."""
        try:
            content = fingerprint(folder)
        except OSError:
            return self._make(folder)  # which says in its own words what cannot be read
        with self._gate:
            if content in self._known:
                self._known.move_to_end(content)
                return self._known[content]
        made = self._make(folder)
        if fingerprint(folder) == content:  # nobody wrote to it in the meantime
            self._keep(content, made)
        return made

    def _keep(self, content: bytes, made: Made) -> None:
        with self._gate:
            self._known[content] = made
            while len(self._known) > _MOST:
                self._known.popitem(last=False)


def fingerprint(folder: Path) -> bytes:
    """SHA-256 over path and content of every file below, whatever its name."""
    summed = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
            summed.update(b"%d %d " % (len(name), len(content)) + name + content)
    return summed.digest()
