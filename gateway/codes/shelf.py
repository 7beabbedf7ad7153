"""Published bundles side by side, one of them current; `publishing` puts them there."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import orjson

from gateway.codes.reading import Reader
from gateway.errors import OperatorError

CURRENT = "current"
_NAME = re.compile(r"[0-9a-f]{16}", re.ASCII)


class BundleError(OperatorError):
    """A bundle on the shelf is not what it says, or there is none."""


@dataclass(frozen=True)
class Manifest:
    """What is told of a bundle: its name, the hash of its content and of its very bytes."""

    name: str
    content: str
    sha256: str
    bytes: int
    built: str
    lists: int
    codes: int


def current(folder: Path) -> str | None:
    """The name of the current bundle, None where nothing was published yet."""
    try:
        name = (folder / CURRENT).read_text("ascii")
    except FileNotFoundError:
        return None
    if not _NAME.fullmatch(name):
        raise BundleError("codes_damaged", f"{folder / CURRENT} names no bundle; build anew.")
    return name


def manifest_of(folder: Path, name: str) -> Manifest:
    """The manifest of this bundle; raises `BundleError` where it is not there."""
    if not _NAME.fullmatch(name):
        raise BundleError("codes_unknown", "A bundle is named by 16 hexadecimal digits.")
    try:
        return Manifest(**orjson.loads((folder / f"{name}.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise BundleError("codes_unknown", f"There is no bundle {name}.") from error


def manifests(folder: Path) -> tuple[Manifest, ...]:
    """All bundles, the oldest first."""
    names = sorted(path.stem for path in folder.glob("*.json") if _NAME.fullmatch(path.stem))
    found = (manifest_of(folder, name) for name in names)
    return tuple(sorted(found, key=lambda each: (each.built, each.name)))


def open_reading(path: Path) -> sqlite3.Connection:
    """A bundle opened so that nothing can change it."""
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True, check_same_thread=False)


class Shelf:
    """What a server reads from: opens each bundle once, follows `current` without a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()
        self._open: dict[str, Reader] = {}

    def current(self) -> str | None:
        """The name of the bundle that is current now."""
        return current(self.folder)

    def reader(self, name: str) -> Reader:
        """An open bundle; raises `BundleError` where there is none of that name."""
        with self._lock:
            if name not in self._open:
                manifest_of(self.folder, name)
                self._open[name] = Reader(name, open_reading(self.folder / f"{name}.sqlite"))
            return self._open[name]

    def close(self) -> None:
        """Close every bundle."""
        with self._lock:
            for reader in self._open.values():
                reader.db.close()
            self._open.clear()
