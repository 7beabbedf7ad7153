"""Releases on disk: which there are, which is in force, and taking one out of service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.publish import held, point
from gateway.releases.store import WITHDRAWN, current, read_manifest, withdrawn

State: TypeAlias = Literal["in force", "ready", "kept", "withdrawn"]


@dataclass(frozen=True)
class Entry:
    """One release on disk."""

    manifest: Manifest
    folder: Path
    state: State


def entries(root: Path) -> list[Entry]:
    """All releases, by service and age."""
    return sorted(_entries(root), key=lambda e: (e.manifest.service, e.manifest.created))


def _entries(root: Path) -> Iterator[Entry]:
    in_force, out = set(current(root).values()), withdrawn(root)
    ready = set(held(root).values())
    for folder in root.glob("S[0-9][0-9]/S[0-9][0-9]-*"):
        manifest = read_manifest(folder)
        if manifest is not None:
            waiting: State = "ready" if folder.name in ready else "kept"
            there: State = "in force" if folder.name in in_force else waiting
            yield Entry(manifest, folder, "withdrawn" if folder.name in out else there)


def withdraw(root: Path, release_id: str, reason: str, now: datetime) -> None:
    """Take a release out of service; where it was in force, its service has none until a build."""
    if release_id not in {entry.manifest.release_id for entry in entries(root)}:
        raise ReleaseError("release_unknown", f"There is no release {release_id}.")
    note = {"time": now.isoformat(timespec="seconds"), "reason": reason}
    everything = {**withdrawn(root), release_id: note}
    fresh = root / f".{WITHDRAWN}"
    fresh.write_text(json.dumps(everything, indent=1, ensure_ascii=False), encoding="utf-8")
    fresh.replace(root / WITHDRAWN)
    point(root, {s: r for s, r in current(root).items() if r != release_id})
