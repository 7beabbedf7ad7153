"""What a backup holds, by size and SHA-256, and whether it still does.

The list's own digest lies beside it, so that damage to the list is found as well. Who changes a
backup on purpose can write both anew: that is found after a restore, by `sluice audit verify`,
whose signatures nobody without the keys can make.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import OperatorError

FORMAT: Final = 1
LIST, DIGEST, FILES = "backup.json", "backup.json.sha256", "files"
_MAGIC = b"SQLite format 3\x00"


class Held(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """All of it; `part` says whether it is the data or the keys, which never lie together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    part: Literal["data", "keys"]
    made: str
    revision: str
    elsewhere: bool
    files: dict[str, Held]
    """`revision` of the operational database when it is a file; `elsewhere`: it is a PostgreSQL,
    which is backed up by its own tools."""


def is_sqlite(path: Path) -> bool:
    """Whether a file is a database; one that is gone is none."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def held(path: Path) -> Held:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Held(bytes=path.stat().st_size, sha256=digest)


def below(folder: Path) -> Iterator[str]:
    """Every file below, by its path from there; a link is no file of a backup."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise OperatorError("backup_damaged", f"{path} is a link; a backup holds none.")
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the list and its digest, synced."""
    text = manifest.model_dump_json(indent=1).encode()
    for name, content in ((LIST, text), (DIGEST, hashlib.sha256(text).hexdigest().encode())):
        with (folder / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """The list; OperatorError (`no_backup`, `backup_damaged`) where there is none or it changed."""
    try:
        text, digest = (folder / LIST).read_bytes(), (folder / DIGEST).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError("no_backup", f"{folder} is no backup: it has no {LIST}.") from error
    try:
        if hashlib.sha256(text).hexdigest() != digest:
            raise OperatorError("backup_damaged", f"{LIST} is not as it was written.")
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise OperatorError(
            "backup_format", f"{LIST} is of another format: use the program that wrote it."
        ) from error


def check(folder: Path) -> Manifest:
    """The list, once every file was read and found as listed, and every database whole."""
    manifest, files = read_manifest(folder), folder / FILES
    found = set(below(files)) if files.is_dir() else set()
    for name in sorted(found ^ manifest.files.keys()):
        what = "is missing" if name in manifest.files else "was added"
        raise OperatorError("backup_damaged", f"{name} {what}: take another backup.")
    for name, said in manifest.files.items():
        if held(files / name) != said:
            raise OperatorError("backup_damaged", f"{name} is not as listed: take another backup.")
        if is_sqlite(files / name):
            _check_database(files / name, name)
    return manifest


def _check_database(path: Path, name: str) -> None:
    # Immutable: it would leave files beside it otherwise, which are not in the list.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        told = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if told != "ok":
        raise OperatorError("backup_damaged", f"{name} was not whole when it was copied.")
