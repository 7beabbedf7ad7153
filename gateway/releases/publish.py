"""Make a finished build the release in force, in one step.

Files are written below `.building-…`, flushed, and renamed into place whole; `CURRENT.json` is
replaced last. Killed at any instant, the release served before is still served.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from gateway.releases.manifest import FILE, Manifest, ReleaseError
from gateway.releases.store import CURRENT, current

_BUILDING = ".building-"
_LOCK = ".lock"
_READ_ONLY = 0o444


@contextmanager
def workplace(root: Path) -> Iterator[Path]:
    """A scratch folder for one build; what killed builds left is swept away first."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReleaseError(
                "release_busy", "Another release build is running here.", "已有发布任务在运行。"
            ) from None
        for left in root.glob(f"{_BUILDING}*"):
            shutil.rmtree(left)
        folder = root / f"{_BUILDING}{uuid4().hex[:12]}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(root: Path, finished: Sequence[tuple[Path, Manifest]]) -> None:
    """Put each finished folder in its place, then all of them in force at once."""
    for folder, manifest in finished:
        _place(root / manifest.service, folder, manifest)
    chosen = {manifest.service: manifest.release_id for _, manifest in finished}
    point(root, {**current(root), **chosen})


def _place(shelf: Path, folder: Path, manifest: Manifest) -> None:
    target = shelf / manifest.release_id
    if target.exists():  # the same input again gives the same release
        return
    (folder / FILE).write_text(manifest.text(), encoding="utf-8")
    for file in sorted(folder.iterdir()):
        file.chmod(_READ_ONLY)
        _flush(file)
    _flush(folder)
    shelf.mkdir(exist_ok=True)
    folder.rename(target)
    _flush(shelf)
    _flush(shelf.parent)


def point(root: Path, chosen: Mapping[str, str]) -> None:
    """Replace the table of releases in force."""
    fresh = root / f".{CURRENT}-{uuid4().hex[:8]}"
    fresh.write_text(json.dumps(dict(sorted(chosen.items())), indent=1) + "\n", encoding="utf-8")
    _flush(fresh)
    fresh.replace(root / CURRENT)
    _flush(root)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
