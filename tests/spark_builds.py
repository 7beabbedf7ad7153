"""Builds of releases on a Spark cluster beside those on DuckDB, and what each has published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gateway.releases.build import Order, Step, build
from gateway.releases.engine.spark import Cluster
from gateway.releases.manifest import Manifest
from gateway.settings import Settings
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def same_warehouse(home: Path, copy: Path) -> Path:
    """The same warehouse and keys, and nothing that was built from them."""
    for name in ("warehouse", "keys"):
        shutil.copytree(home / name, copy / name)
    return copy


def on_spark(home: Path, cluster: Cluster) -> Settings:
    return Settings(
        home=home,
        release_engine="spark",
        spark_master=cluster.master,
        spark_properties=cluster.properties,
    )


def built(
    settings: Settings, services: tuple[str, ...], *, alone: bool = False
) -> tuple[list[Manifest], Step]:
    steps: list[Step] = []
    order = Order(services, waivers=INVENTED, alone=alone)
    made = build(settings, order, NOW, steps.append)
    return made, steps[-1]


def files(home: Path, manifests: list[Manifest]) -> dict[str, bytes]:
    """Every file of every release, by service and name."""
    folders = [home / "releases" / made.service / made.release_id for made in manifests]
    return {
        f"{folder.parent.name}/{path.name}": path.read_bytes()
        for folder in folders
        for path in sorted(folder.iterdir())
    }


def published(home: Path) -> dict[str, bytes]:
    """All that lies where releases are served from, and which of them are in force."""
    root = home / "releases"
    some = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in some}


def descendant(pid: int, saying: str) -> int:
    """The process below another, at any depth, whose command line says this."""
    for child in _children(pid):
        if saying.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
        if found := descendant(child, saying):
            return found
    return 0


def _children(pid: int) -> Iterator[int]:
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if f"\nPPid:\t{pid}\n" in status.read_text(errors="replace"):
                yield int(status.parent.name)
