"""A power cut, as far as SQLite files go: only what was synced is sure to survive.

`watch` registers a VFS that, whenever SQLite syncs a file, keeps a copy of it as it is then: the
image on the platter. `cut` puts the files back to those images; what was written since is dropped,
or, sector by sector, dropped, kept or garbled, as a disk may. kill -9 alone cannot show a missing
sync, because the page cache survives the process.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import random
import shutil
import subprocess
from pathlib import Path

SECTOR = 512
_OK = 0
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_OPEN = ctypes.CFUNCTYPE(
    # The name goes on as the pointer it is: SQLite keeps it, so it must not become a Python string.
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_void_p,
)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_METHODS = 20  # words of sqlite3_io_methods: version, then the functions up to xUnfetch (v3)
_X_SYNC = 5


class _Vfs(ctypes.Structure):
    """The beginning of sqlite3_vfs; the rest is carried along unchanged."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("app_data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("rest", ctypes.c_void_p * 16),
    )


_found: set[Path] = set()  # files this process has opened
_kept: list[object] = []  # what SQLite points to must outlive this module's functions


def watch(images: Path) -> None:
    """From now on, keep the synced image of every SQLite file this process opens."""
    images.mkdir(parents=True, exist_ok=True)
    sqlite = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
    sqlite.sqlite3_vfs_find.restype = ctypes.c_void_p
    ours = _Vfs.from_buffer_copy(
        ctypes.string_at(sqlite.sqlite3_vfs_find(None), ctypes.sizeof(_Vfs))
    )
    plain_open = _OPEN(ours.open)

    @_OPEN
    def opening(vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        code = plain_open(vfs, name, file, flags, out)
        if code == _OK and name:
            path = Path(os.fsdecode(ctypes.string_at(name)))
            _keep_as_found(path, images)
            _watch_syncs(file, path, images)
        return int(code)

    ours.name, ours.next = b"power", None
    ours.open = ctypes.cast(opening, ctypes.c_void_p).value
    _kept.extend((ours, opening, plain_open))
    if sqlite.sqlite3_vfs_register(ctypes.byref(ours), 1) != _OK:
        raise RuntimeError("SQLite did not take the watching VFS")


def _keep(path: Path, images: Path) -> None:
    """The image of a file, whole or not at all: the process may be killed while it copies."""
    fresh = images / f".{path.name}.fresh"
    if path.name.endswith("-wal"):
        shutil.copyfile(path, fresh)
    else:
        # Another process copies the database: closing any handle on it here would drop the locks
        # SQLite holds on it (POSIX), and a reader would take the log away from under the server.
        subprocess.run(["cp", path, fresh], check=True)
    fresh.replace(images / path.name)


def _keep_as_found(path: Path, images: Path) -> None:
    """What a process finds when it first opens a file has survived the last power cut.

    An image of an earlier life may be older than the file: whoever read the journal meanwhile and
    was the last to close it has moved the log into the database.
    """
    # An empty file is a new one: the log was deleted, and what an older one held is gone with it.
    if path.exists() and (path not in _found or not path.stat().st_size):
        _found.add(path)
        _keep(path, images)


def _watch_syncs(file: int, path: Path, images: Path) -> None:
    table = ctypes.c_void_p.from_address(file)
    methods = (ctypes.c_void_p * _METHODS).from_buffer_copy(
        ctypes.string_at(table.value or 0, _METHODS * _POINTER)
    )
    plain_sync = _SYNC(methods[_X_SYNC])

    @_SYNC
    def syncing(handle: int, flags: int) -> int:
        code = plain_sync(handle, flags)
        if code == _OK:
            _keep(path, images)
        return int(code)

    methods[_X_SYNC] = ctypes.cast(syncing, ctypes.c_void_p).value
    table.value = ctypes.addressof(methods)
    _kept.extend((methods, syncing, plain_sync))


def cut(database: Path, images: Path, chance: random.Random) -> None:
    """Leave of a database and its log what a power cut may leave."""
    for path in (database, database.with_name(f"{database.name}-wal")):
        image = images / path.name
        if not image.exists():  # killed before it opened the file: nothing was written
            continue
        synced = image.read_bytes()
        image.unlink()  # what is left now is what the next process finds
        if not path.exists():
            continue
        kept = synced if chance.random() < 0.5 else _mixed(synced, path.read_bytes(), chance)
        path.write_bytes(kept)
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)


def _mixed(synced: bytes, written: bytes, chance: random.Random) -> bytes:
    """Sectors written since the sync arrive, do not, or arrive as rubbish."""
    result = bytearray(synced.ljust(len(written), b"\0"))
    for start in range(0, len(written), SECTOR):
        old, new = synced[start : start + SECTOR], written[start : start + SECTOR]
        if old != new:
            fate = chance.randrange(3)
            garbled = chance.randbytes(len(new))
            result[start : start + len(new)] = (old.ljust(len(new), b"\0"), new, garbled)[fate]
    return bytes(result)
