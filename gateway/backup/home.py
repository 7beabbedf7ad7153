"""Copy a home while it serves, and put a copy back.

The order makes the copy one state. What is signed about a journal (checkpoints beside it) is
copied first, so it never names an event the copy lacks. Then all databases are copied as they stand
at one moment: nobody writes to the operational one while the views are opened, so that a journal's
copy knows of no act of the office that is not there. Releases and archives come last: they only
grow, and the copy has all that the databases name.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from gateway.backup.manifest import FILES, FORMAT, Manifest, check, held, is_sqlite, write_manifest
from gateway.db.place import stands
from gateway.errors import OperatorError
from gateway.settings import Settings

_LEFT: Final = frozenset({"keys", "warehouse"})
"""Keys go by themselves; the warehouse is the bureau's own, and no part of what serves."""
_BESIDE: Final = ("-wal", "-shm", "-journal", ".lock", ".partial")
_PATIENCE = 10.0


def create(
    settings: Settings, target: Path, now: datetime, part: Literal["data", "keys"]
) -> Manifest:
    """Make a backup at `target`, which is not there yet; what was cut off is never there."""
    if target.exists():
        raise OperatorError("backup_there", f"{target} exists: name a folder that does not.")
    unfinished = target.with_name(f"{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    files = unfinished / FILES
    files.mkdir(mode=0o700, parents=True)
    if part == "keys":
        _copy_all(settings.keys, files)
    else:
        _copy_data(settings.home, files)
    manifest = Manifest(
        format=FORMAT,
        part=part,
        made=now.isoformat(),
        revision="" if settings.database_dsn_file else (stands(settings) or ""),
        elsewhere=settings.database_dsn_file is not None,
        files={path.relative_to(files).as_posix(): held(path) for path in _files(files)},
    )
    write_manifest(unfinished, manifest)
    _sync(unfinished)
    unfinished.rename(target)
    _sync(target.parent)
    return manifest


def restore(source: Path, settings: Settings) -> Manifest:
    """Put a whole backup where nothing is yet; a damaged one changes nothing."""
    manifest = check(source)
    there = settings.keys if manifest.part == "keys" else settings.home
    # Keys may be put back first: beside them, a home is still a new one.
    if there.is_dir() and any(one.name not in _LEFT for one in there.iterdir()):
        raise OperatorError(
            "home_not_empty", f"{there} holds something: restore to a new folder, then change over."
        )
    there.mkdir(mode=0o700, parents=True, exist_ok=True)
    _copy_all(source / FILES, there)
    for name, said in manifest.files.items():
        if not (there / name).is_file() or held(there / name) != said:
            raise OperatorError("restore_failed", f"{name} could not be written as it was.")
    return manifest


def _copy_data(home: Path, files: Path) -> None:
    found = [path for path in _files(home) if path.relative_to(home).parts[0] not in _LEFT]
    databases = [path for path in found if is_sqlite(path)]
    signed = [path for path in found if path.parent == home and path not in databases]
    for path in signed:
        _copy(path, files / path.name)
    with _at_one_moment(home, databases) as views:
        for path, view in views.items():
            _copy_database(view, files / path.relative_to(home))
    for folder in sorted(one for one in home.iterdir() if one.is_dir() and one.name not in _LEFT):
        _copy_all(folder, files / folder.name, but=databases)


@contextmanager
def _at_one_moment(
    home: Path, databases: list[Path]
) -> Iterator[Mapping[Path, sqlite3.Connection]]:
    """A reading connection to each, all opened while nobody writes to the operational one."""
    with ExitStack() as stack:
        office = home / "sluice.db"
        still = None
        if office in databases:
            still = stack.enter_context(closing(sqlite3.connect(office, timeout=_PATIENCE)))
            still.isolation_level = None
            still.execute("BEGIN IMMEDIATE")
        views = {}
        for path in databases:
            view = stack.enter_context(
                closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))
            )
            view.isolation_level = None
            view.execute("BEGIN")
            view.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the view begins here
            views[path] = view
        if still is not None:
            still.execute("ROLLBACK")
        yield views


def _copy_database(view: sqlite3.Connection, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as copy:
        view.backup(copy)
    path.chmod(0o600)
    _sync(path)


def _copy_all(source: Path, target: Path, but: list[Path] | None = None) -> None:
    for path in _files(source):
        if path not in (but or ()):
            _copy(path, target / path.relative_to(source))


def _copy(path: Path, target: Path) -> None:
    """Copy a file as it is; one that a server has removed since it was listed is in no backup."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        shutil.copy2(path, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return
    _sync(target)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.endswith(_BESIDE):
            yield path


def _sync(path: Path) -> None:
    at = os.open(path, os.O_RDONLY)
    try:
        os.fsync(at)
    finally:
        os.close(at)
