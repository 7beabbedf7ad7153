"""Put bundles on the shelf, and compare those that are there with what they say.

`<name>.sqlite` and `<name>.json` are written whole under other names, synced and renamed; last of
all `current` is. Who reads finds the old bundle or the new one, never a part of either, and a build
that was killed leaves nothing but a file nobody reads.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import orjson

from gateway.codes.bundle import write_bundle
from gateway.codes.content import NAME_LENGTH, digest_of, read_content
from gateway.codes.shelf import (
    CURRENT,
    BundleError,
    Manifest,
    current,
    manifest_of,
    manifests,
    open_reading,
)
from gateway.codes.sources import Source

_PART = ".part"


def publish(folder: Path, source: Source, now: datetime) -> Manifest:
    """Build the bundle and make it current; equal content keeps the bundle that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{os.getpid()}{_PART}"
    part.unlink(missing_ok=True)
    try:
        content = write_bundle(source, part)
        name = content[:NAME_LENGTH]
        manifest = _known(folder, name)
        if manifest is None:
            manifest = _manifest(content, part, source, now)
            _sync(part)
            part.replace(folder / f"{name}.sqlite")
            _write(folder / f"{name}.json", _written(manifest))
    finally:
        part.unlink(missing_ok=True)
    _write(folder / CURRENT, name.encode())
    return manifest


def _manifest(content: str, part: Path, source: Source, now: datetime) -> Manifest:
    told = part.read_bytes()
    return Manifest(
        name=content[:NAME_LENGTH],
        content=content,
        sha256=hashlib.sha256(told).hexdigest(),
        bytes=len(told),
        built=now.astimezone(UTC).isoformat(timespec="seconds"),
        lists=len(source.declaration.lists),
        codes=sum(map(len, source.concepts)),
    )


def _written(manifest: Manifest) -> bytes:
    return orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2)


def _known(folder: Path, name: str) -> Manifest | None:
    """The manifest of a bundle that is whole on the shelf; a cut-off one is put there anew."""
    try:
        manifest = manifest_of(folder, name)
        told = (folder / f"{name}.sqlite").read_bytes()
    except (BundleError, OSError):
        return None
    return manifest if hashlib.sha256(told).hexdigest() == manifest.sha256 else None


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}{_PART}")
    part.write_bytes(content)
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def verify(folder: Path) -> Iterator[tuple[str, str]]:
    """Each bundle with what is wrong with it, "" where nothing is."""
    for manifest in manifests(folder):
        yield manifest.name, _fault(folder, manifest)
    name = current(folder)
    if name is not None and name not in {each.name for each in manifests(folder)}:
        yield name, "current, and not there"


def _fault(folder: Path, manifest: Manifest) -> str:
    path = folder / f"{manifest.name}.sqlite"
    try:
        told = path.read_bytes()
        if hashlib.sha256(told).hexdigest() != manifest.sha256:
            return "the file is not the one that was published"
        with closing(open_reading(path)) as db:
            content = digest_of(read_content(db))
    except (OSError, sqlite3.Error):
        return "cannot be read"
    named = manifest.content[:NAME_LENGTH] == manifest.name
    return "" if named and content == manifest.content else "its content is not what its name says"
