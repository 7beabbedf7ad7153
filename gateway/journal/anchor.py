"""Where checkpoints are kept out of reach of whoever can change the journal's own host.

An anchor holds, for every chain, the bytes of its checkpoint file from the beginning; it can only
be added to. So a store that was put back to an earlier moment, journal and checkpoints together, is
behind its anchor, and one that was written anew has another beginning. The folder is the embedded
way: a mount that the host may append to and not rewrite. A notary or object store with retention is
another `Anchor`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from gateway.errors import OperatorError
from gateway.journal.names import sync_names
from gateway.journal.port import JournalDamaged

ENDING = ".checkpoints"


class Anchor(Protocol):
    """A place outside."""

    def held(self, chain: str) -> bytes:
        """What it has of a chain's checkpoints; raises `OSError` where it cannot be asked."""

    def add(self, chain: str, lines: bytes) -> None:
        """Keep further ones, for good; raises `OSError` where it cannot."""


def open_anchor(folder: Path | None) -> Anchor | None:
    """The anchor of the settings, if there is one."""
    return None if folder is None else FolderAnchor(folder)


class FolderAnchor:
    """A folder with one file for each chain, appended to and synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def held(self, chain: str) -> bytes:
        if (
            not self._folder.is_dir()
        ):  # not mounted: an anchor that knows nothing would be no anchor
            raise NotADirectoryError(self._folder)
        path = self._path(chain)
        return path.read_bytes() if path.exists() else b""

    def add(self, chain: str, lines: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path(chain), flags, 0o644)
        try:
            if os.write(descriptor, lines) != len(lines):
                raise OSError("the anchor took only part of a checkpoint")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_names(self._folder)

    def _path(self, chain: str) -> Path:
        return self._folder / f"{chain}{ENDING}"


class Anchored:
    """A chain's checkpoints in their anchor: what is missing there is added, whenever it can be."""

    def __init__(self, anchor: Anchor, chain: str, file: Path) -> None:
        """Raises `JournalDamaged` where the anchor has another past, or more of it, and
        `OperatorError` where it cannot be read."""
        self._anchor, self._chain, self._file = anchor, chain, file
        self._upto: int | None = None
        try:
            self._upto = self._agreed()
        except OSError as error:
            raise OperatorError(
                "audit_anchor",
                f"The audit anchor cannot be read ({type(error).__name__}): mount it, or take"
                " SLUICE_AUDIT_ANCHOR out of the settings.",
                "审计锚定目录无法读取，请检查挂载或配置。",
            ) from error
        if self._upto is None:
            raise JournalDamaged(
                f"{file} is not what the audit anchor has of {chain}: it was put back to an earlier"
                " moment, or written anew. Run `sluice audit verify`, and do not serve from it"
            )

    def catch_up(self) -> None:
        """Add what the file has and the anchor has not; raises `OSError`."""
        if self._upto is None:
            self._upto = self._agreed()
        if self._upto is None:
            raise OSError("the anchor has something else than this chain's checkpoints")
        with self._file.open("rb") as file:
            file.seek(self._upto)
            lines = file.read()
        if not lines:
            return
        upto, self._upto = self._upto, None  # after a failure nobody knows how much it took
        self._anchor.add(self._chain, lines)
        self._upto = upto + len(lines)

    def _agreed(self) -> int | None:
        """How much of the file the anchor has: all it has must be the file's beginning, to the
        byte, also where it took only part of a line; None where it is not."""
        held = self._anchor.held(self._chain)
        own = self._file.read_bytes() if self._file.exists() else b""
        return len(held) if own.startswith(held) else None
