"""Prove a published release: untouched, complete, and safe against subtraction.

Sees only what is published. The files must hash to the manifest, the manifest to the release's id,
and no difference of up to three published person counts may be 1 … k−1, neither within a release
nor between those of services whose persons nest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from gateway.catalogue.model import Grain, Service
from gateway.privacy.terms import Terms
from gateway.releases.across import nests
from gateway.releases.listing import listing
from gateway.releases.manifest import FILE, Manifest, ReleaseError
from gateway.releases.shelf import Entry, entries
from gateway.releases.source import digest
from gateway.releases.store import cell_file
from gateway.releases.subtraction import Published, alone, between, by_season, longest

REST = "release_rest"
"""Code of a subtraction across services that leaves too few persons."""

_NAMED = 10


@dataclass(frozen=True)
class Report:
    """What was found wrong with one release; nothing if it may be trusted."""

    release_id: str
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(
    root: Path, wanted: Sequence[str] = (), services: Mapping[str, Service] | None = None
) -> list[Report]:
    """Check the releases named, or all; contracts say on which dims persons add up."""
    found = entries(root)
    known = {entry.manifest.release_id for entry in found} | {e.folder.name for e in found}
    missing = sorted(set(wanted) - known)
    if missing:
        raise ReleaseError("release_unknown", f"There is no release {', '.join(missing)}.")
    chosen = [e for e in found if not wanted or e.folder.name in wanted]
    broken = [
        Report(folder.name, ("the manifest cannot be read",))
        for folder in sorted(root.glob("S[0-9][0-9]/S[0-9][0-9]-*"))
        if folder not in {entry.folder for entry in found}
    ]
    return [Report(e.folder.name, tuple(_faults(e, services or {}))) for e in chosen] + broken


def verify_together(root: Path, services: Mapping[str, Service]) -> list[Report]:
    """Check the releases in force against each other, wherever the persons of two services nest.

    Every profile of one with every profile of the other: consumers may pool what they were given.
    """
    in_force = {e.manifest.service: e for e in entries(root) if e.state == "in force"}
    reports = []
    for nest in nests(services):
        if {nest.outer, nest.inner} <= in_force.keys():
            both = [in_force[name] for name in (nest.outer, nest.inner)]
            grain = longest(entry.manifest for entry in both)
            outer, inner = (_published(entry, grain, services) for entry in both)
            found = [
                f"{text} leaves fewer than {max(one[season].least, other[season].least)} persons"
                for one, other in product(outer, inner)
                for season in sorted(one.keys() & other.keys())
                for text in between(nest, services, one[season], other[season])
            ]
            named = [f"{REST}: {text}" for text in dict.fromkeys(found)]
            more = [f"{REST}: {len(named) - _NAMED} more such subtractions"][: len(named) > _NAMED]
            reports.append(Report(f"{nest.outer} with {nest.inner}", (*named[:_NAMED], *more)))
    return reports


def _published(
    entry: Entry, grain: Grain, services: Mapping[str, Service]
) -> list[dict[str, Published]]:
    return [_seasons(entry, key, grain, services) for key in entry.manifest.profiles]


def _seasons(
    entry: Entry, key: str, grain: Grain, services: Mapping[str, Service]
) -> dict[str, Published]:
    manifest = entry.manifest
    if manifest.person_measure is None or Terms.of(manifest.profiles[key]) is not None:
        return {}  # what is subtracted from noised counts is noise
    least = int(manifest.profiles[key]["k_person"])
    rows = listing(entry.folder, manifest, key)
    return by_season(manifest, rows, least, grain, services.get(manifest.service))


def _faults(entry: Entry, services: Mapping[str, Service]) -> Iterator[str]:
    manifest, folder = entry.manifest, entry.folder
    if not manifest.release_id == folder.name == manifest.content_id():
        yield "the manifest is not the one this release id stands for"
    stated = {file.name: file.sha256 for file in manifest.files}
    present = {path.name for path in folder.iterdir()} - {FILE}
    yield from (f"{name}: not in the manifest" for name in sorted(present - stated.keys()))
    sound = True
    for name, sha256 in stated.items():
        if name not in present:
            sound = False
            yield f"{name}: missing"
        elif digest(folder / name) != sha256:
            sound = False
            yield f"{name}: altered since it was published"
    if sound:
        for key in manifest.cells:
            yield from _unreadable(folder / cell_file(key), manifest, key)
            yield from _guessable(entry, key, services)


def _unreadable(path: Path, manifest: Manifest, key: str) -> Iterator[str]:
    con = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        (rows,) = con.execute("SELECT count(*) FROM cells").fetchone()
    finally:
        con.close()
    if rows != manifest.cells.get(key):
        yield f"{path.name}: {rows} cells, the manifest says {manifest.cells.get(key)}"


def _guessable(entry: Entry, key: str, services: Mapping[str, Service]) -> Iterator[str]:
    """Subtractions that leave a small count; the first few, the rest as a number."""
    seasons = _seasons(entry, key, longest([entry.manifest]), services)
    least = entry.manifest.profiles[key]["k_person"]
    found = [text for _, own in sorted(seasons.items()) for text in alone(own)]
    yield from (f"{key}: {one} leaves fewer than {least} persons" for one in found[:_NAMED])
    if len(found) > _NAMED:
        yield f"{key}: {len(found) - _NAMED} more such subtractions"
