"""For which disclosure profiles there are cells: what an edition needs to be served."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from gateway.releases.store import ReleaseStore


def released(root: Path) -> Callable[[str], Collection[str]]:
    """The profile keys of a service's release in force, as it is when asked; none without one."""

    def keys(service: str) -> Collection[str]:
        manifest = ReleaseStore(root).latest(service)
        return frozenset(manifest.profiles) if manifest else frozenset()

    return keys
