"""Staging: what a build has made so far, kept over a kill and taken up by the next one.

Everything is named by what it was made from: the hashes of the tables a fact reads, its SQL written
out, the engine; for a finished season the rows of its facts and all that acts on them. So nothing
stale can be taken up, and nothing is made twice. Entries appear whole, by a rename.

The rows are as confidential as the warehouse's: the folder is its owner's alone, and nothing that
serves reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from gateway.releases.engine.survey import Document, Survey
from gateway.releases.source import digest

KEPT = timedelta(days=7)
"""How long what no build has used stays."""

_PART = ".part-"
_ABOUT = "fact.json"
_SEAL = 32


@dataclass(frozen=True)
class Staged:
    """A fact in staging: its columns, what a survey found, and each season's files by content."""

    folder: Path
    names: tuple[str, ...]
    scales: Mapping[str, int]
    survey: Survey
    seasons: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Staging:
    """The folder of one home; `now` is when entries are said to have been used."""

    root: Path
    now: datetime

    def open(self) -> None:
        """Make the folder, and sweep what was left unfinished or has long been of no use.

        The caller holds the lock of the releases: nobody else is building here.
        """
        for folder in (self.root, self._facts, self._harvests):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        oldest = (self.now - KEPT).timestamp()
        for entry in [*self.root.glob(".*"), *self._facts.iterdir(), *self._harvests.iterdir()]:
            if entry.name.startswith(".") or entry.stat().st_mtime < oldest:
                _remove(entry)

    @property
    def _facts(self) -> Path:
        return self.root / "facts"

    @property
    def _harvests(self) -> Path:
        return self.root / "seasons"

    def part(self) -> Path:
        """A folder for what is in the making; swept with the next build if it is not finished."""
        folder = self.root / f"{_PART}{uuid4().hex[:12]}"
        folder.mkdir(mode=0o700)
        return folder

    def fact(self, key: str) -> Staged | None:
        """A staged fact, if it is there and as it was written."""
        folder = self._facts / key
        try:
            about: Document = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        seasons: Mapping[str, Mapping[str, str]] = about["seasons"]
        if any(_files(folder, season) != files for season, files in seasons.items()):
            _remove(folder)
            return None
        self._used(folder)
        return Staged(
            folder, tuple(about["names"]), about["scales"], Survey.of(about["survey"]), seasons
        )

    def keep_fact(self, key: str, part: Path, about: Document) -> None:
        """Put a written fact in its place."""
        seasons = sorted(path.name.removeprefix("season=") for path in part.iterdir())
        files = {season: _files(part, season) for season in seasons}
        text = json.dumps({**about, "seasons": files}, ensure_ascii=False)
        (part / _ABOUT).write_text(text, encoding="utf-8")
        target = self._facts / key
        _flush(part)
        if target.exists():  # unreadable, else it would have been taken up
            _remove(target)
        part.rename(target)
        self._used(target)

    def harvest(self, key: str, secret: bytes) -> Any | None:  # whatever was kept
        """A finished season as it was kept, if it is there and sealed with the secret."""
        content = self._sealed(key, secret)
        return None if content is None else pickle.loads(content)  # noqa: S301  (sealed: ours)

    def has_harvest(self, key: str, secret: bytes) -> bool:
        """Whether a season is there and whole."""
        return self._sealed(key, secret) is not None

    def _sealed(self, key: str, secret: bytes) -> bytes | None:
        path = self._harvests / key
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if not hmac.compare_digest(content[:_SEAL], _seal(key, content[_SEAL:], secret)):
            _remove(path)
            return None
        self._used(path)
        return content[_SEAL:]

    def keep_harvest(self, key: str, harvest: object, secret: bytes) -> None:
        """Keep a finished season."""
        content = pickle.dumps(harvest, protocol=pickle.HIGHEST_PROTOCOL)
        part = self.root / f"{_PART}{uuid4().hex[:12]}"
        with part.open("xb") as file:
            file.write(_seal(key, content, secret) + content)
            file.flush()
            os.fsync(file.fileno())
        target = self._harvests / key
        part.replace(target)
        self._used(target)

    def _used(self, entry: Path) -> None:
        at = self.now.timestamp()
        os.utime(entry, (at, at))


def keyed(document: object) -> str:
    """The name of an entry: the hash of what it is made from."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _seal(key: str, content: bytes, secret: bytes) -> bytes:
    """Only who has the bureau's key can have written an entry, and only under this name."""
    return hmac.digest(secret, b"sluice staging " + key.encode() + b"\0" + content, "sha256")


def _files(folder: Path, season: str) -> dict[str, str]:
    """The files of a season and their content."""
    return {path.name: digest(path) for path in sorted((folder / f"season={season}").glob("*"))}


def _flush(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(entry: Path) -> None:
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
