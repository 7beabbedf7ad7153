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
from gateway.releases.store import CURRENT, current, withdrawn

HELD = "HELD.json"

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


def publish(root: Path, finished: Sequence[tuple[Path, Manifest]], *, hold: bool = False) -> None:
    """Put each finished folder in its place, then all of them in force at once.

    With `hold` they lie ready instead, until `publish_held`: what they were attacked beside is
    noted, for beside anything else nobody has looked at them.
    """
    for folder, manifest in finished:
        _place(root / manifest.service, folder, manifest)
    chosen = {manifest.service: manifest.release_id for _, manifest in finished}
    if hold:
        _write(root, HELD, {"releases": chosen, "beside": current(root)})
    else:
        point(root, {**current(root), **chosen})
        (root / HELD).unlink(missing_ok=True)


def held(root: Path) -> dict[str, str]:
    """The releases that lie ready, by service; empty when none do."""
    return _held(root)["releases"]


def publish_held(root: Path) -> dict[str, str]:
    """Put what lies ready in force, all at once.

    Raises `ReleaseError`: `release.state` where nothing lies ready, or where something else was
    published or withdrawn since it was built.
    """
    found, out = _held(root), withdrawn(root)
    if not found["releases"]:
        raise ReleaseError(
            "release.state", "No build lies ready to be published.", "没有待发布的构建。"
        )
    if found["beside"] != current(root) or set(found["releases"].values()) & out.keys():
        raise ReleaseError(
            "release.state",
            "Other releases came into force or were withdrawn since this build was examined; "
            "build it again.",
            "该构建审查之后现行发布已有变化，请重新构建。",
        )
    point(root, {**current(root), **found["releases"]})
    (root / HELD).unlink()
    return found["releases"]


def _held(root: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads((root / HELD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"releases": {}, "beside": {}}
    return found


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
    _write(root, CURRENT, dict(sorted(chosen.items())))


def _write(root: Path, name: str, content: Mapping[str, object]) -> None:
    fresh = root / f".{name}-{uuid4().hex[:8]}"
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    _flush(fresh)
    fresh.replace(root / name)
    _flush(root)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
