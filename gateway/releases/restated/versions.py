"""Find the releases that were made from another state of the warehouse, and that state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.catalogue.model import Service
from gateway.releases.earlier import Earlier
from gateway.releases.manifest import Manifest
from gateway.releases.shelf import entries
from gateway.releases.source import digest


def version_of(manifest: Manifest, warehouse: Path) -> Path | None:
    """The version of the warehouse that has the very tables of a release."""
    stated = {table.table: table.sha256 for table in manifest.inputs}
    for folder in sorted((warehouse / "versions").glob("[!.]*"), reverse=True):
        paths = {path.stem: path for path in folder.glob("*.parquet")}
        if paths.keys() == stated.keys() and all(digest(paths[t]) == h for t, h in stated.items()):
            return folder
    return None


def earlier_releases(
    root: Path, warehouse: Path, services: Mapping[str, Service], digests: Mapping[str, str]
) -> dict[str, tuple[Earlier, ...]]:
    """By service about persons, oldest first, whatever became of them: readers keep what they
    were given."""
    known: dict[frozenset[tuple[str, str]], Path | None] = {}
    found: dict[str, tuple[Earlier, ...]] = {}
    for entry in entries(root):
        manifest = entry.manifest
        service = services.get(manifest.service)
        if service is None or service.disclosure.subject != "persons" or not manifest.shapes:
            continue
        inputs = {table.table: table.sha256 for table in manifest.inputs}
        if inputs == digests:
            continue
        tables = frozenset(inputs.items())
        if tables not in known:
            known[tables] = version_of(manifest, warehouse)
        one = Earlier(entry.folder, manifest, known[tables], entry.state != "withdrawn")
        found[service.id] = (*found.get(service.id, ()), one)
    return found
