"""A disk that gets full: a file system of a few megabytes of its own, filled and emptied at will.

The error is the kernel's own ENOSPC, not a pretended one. Mounting needs the rights of root, in a
container or in a namespace of one's own (`unshare -rm make test-all`); without them such a test is
skipped, with this reason.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

MEBI = 1 << 20


@dataclass(frozen=True)
class SmallDisk:
    """Mounted at `folder`."""

    folder: Path

    @property
    def room(self) -> int:
        """Bytes that still fit."""
        return shutil.disk_usage(self.folder).free

    def fill(self, room: int = 0) -> None:
        """Leave only so many bytes (in whole pages). Others may be writing meanwhile."""
        with self._ballast.open("ab") as file:
            while (size := self.room - room) > 0:
                with suppress(OSError):  # somebody took some of it just now
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)

    def free(self) -> None:
        """Room again."""
        self._ballast.unlink(missing_ok=True)

    @contextmanager
    def getting_full(self, chance: random.Random, within: float) -> Iterator[None]:
        """Full from some moment within so many seconds; half the time there is room again later."""
        room = chance.choice((0, 0, 4096, 20_000, 80_000))
        begins, lasts = chance.uniform(0, within / 8), chance.uniform(0, within)
        for_good, over = chance.random() < 0.5, threading.Event()

        def run() -> None:
            if not over.wait(begins):
                self.fill(room)
                if not over.wait(lasts) and not for_good:
                    self.free()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def small_disk(folder: Path, size: int = 64 * MEBI) -> Iterator[SmallDisk]:
    """A file system of `size` bytes at this folder, which is made."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk: needs root, e.g. by `unshare -rm`")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
