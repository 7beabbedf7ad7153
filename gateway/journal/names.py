"""Names on stable storage: syncing a file does not sync the folder that names it."""

from __future__ import annotations

import os
from pathlib import Path


def sync_names(folder: Path) -> None:
    """What was made, renamed or removed in a folder outlasts a power cut from here on."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """A folder and those above it, each named durably. Harmless where it exists."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_names(folder.parent)
