"""A power cut, as far as SQLite files go: only what was synced is sure to survive.

`watch` registers a VFS that writes down, in one file and in order, what SQLite does to its files:
create, write, truncate, sync, delete. `Disk` plays that trace: at any point of it, it says what a
power cut may leave. What was not synced is dropped, kept or garbled, sector by sector, and names
not yet synced may be missing. kill -9 alone cannot show a missing sync, because the page cache
survives the process.

The model is harsher than SQLite's own default: a sector being written may be lost *whole*, also
those bytes of it that were synced before (SQLite calls a disk without this fault "psow").
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTORS = (512, 4096)  # bytes a disk writes at once; which, is drawn for each cut
CREATE, WRITE, TRUNCATE, SYNC, DELETE, NOTE = range(6)
_HEAD = struct.Struct("<BHqI")  # what, length of the name, offset, length of the data
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
_REMOVE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_PUT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_CUT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_FLUSH = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_METHODS = 20  # words of sqlite3_io_methods: version, then the functions up to xUnfetch (v3)
_X_WRITE, _X_TRUNCATE, _X_SYNC = 3, 4, 5


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
        ("delete", ctypes.c_void_p),
        ("rest", ctypes.c_void_p * 14),
    )


class Event(NamedTuple):
    """One line of the trace."""

    what: int
    name: str
    offset: int
    data: bytes


FOLDER = "."  # a sync of the folder itself


class Recorder:
    """Appends to the trace, one system call an event: a kill leaves at most the last one torn."""

    def __init__(self, trace: Path) -> None:
        self._descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._known: set[str] = set()

    def add(self, what: int, name: str, offset: int = 0, data: bytes = b"") -> None:
        """After the deed: a deed the trace does not show has not reached the disk."""
        head = _HEAD.pack(what, len(name.encode()), offset, len(data))
        os.write(self._descriptor, head + name.encode() + data)

    def opened(self, path: Path, existed: bool) -> None:
        """A file opened for the first time by this process: found as it is, or made."""
        if path.name in self._known:
            return
        self._known.add(path.name)
        # Read before SQLite holds any lock on the file: closing a handle later would drop it.
        self.add(CREATE, path.name, existed, path.read_bytes() if existed else b"")

    def deleted(self, path: Path, durably: bool) -> None:
        self._known.discard(path.name)
        self.add(DELETE, path.name, durably)


class Os:
    """Stands for `os` in a module that writes a file of its own, without SQLite. Watches one
    folder and the files in it that are opened to append."""

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self._recorder, self._folder = recorder, folder
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        existed = path.exists()
        descriptor = os.open(path, flags, mode)
        self._names.pop(descriptor, None)
        if path == self._folder:
            self._names[descriptor] = FOLDER
        elif path.parent == self._folder and flags & os.O_APPEND:
            self._names[descriptor] = path.name
            self._recorder.opened(path, existed)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        offset = os.fstat(descriptor).st_size
        written = os.write(descriptor, data)
        if name := self._names.get(descriptor):
            self._recorder.add(WRITE, name, offset, data[:written])
        return written

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        if name := self._names.get(descriptor):
            self._recorder.add(SYNC, name)

    def truncate(self, path: Path, size: int) -> None:
        self._recorder.opened(path, True)
        os.truncate(path, size)
        self._recorder.add(TRUNCATE, path.name, size)


_kept: list[object] = []  # what SQLite points to must outlive this module's functions


def watch(trace: Path, *, flushes: bool = True) -> Recorder:
    """From now on, write down what SQLite does to every file this process opens. A disk that does
    not flush takes the sync and forgets it."""
    recorder = Recorder(trace)
    sqlite = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
    sqlite.sqlite3_vfs_find.restype = ctypes.c_void_p
    ours = _Vfs.from_buffer_copy(
        ctypes.string_at(sqlite.sqlite3_vfs_find(None), ctypes.sizeof(_Vfs))
    )
    plain_open, plain_delete = _OPEN(ours.open), _REMOVE(ours.delete)

    @_OPEN
    def opening(vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        path = _path(name)
        existed = path is not None and path.exists()
        code = int(plain_open(vfs, name, file, flags, out))
        if code == _OK and path is not None:
            recorder.opened(path, existed)
            _watch_file(file, path.name, recorder, flushes)
        return code

    @_REMOVE
    def deleting(vfs: int, name: int, durably: int) -> int:
        code = int(plain_delete(vfs, name, durably))
        path = _path(name)
        if code == _OK and path is not None:
            recorder.deleted(path, bool(durably) and flushes)
        return code

    ours.name, ours.next = b"power", None
    ours.open = ctypes.cast(opening, ctypes.c_void_p).value
    ours.delete = ctypes.cast(deleting, ctypes.c_void_p).value
    _kept.extend((ours, opening, plain_open, deleting, plain_delete))
    if sqlite.sqlite3_vfs_register(ctypes.byref(ours), 1) != _OK:
        raise RuntimeError("SQLite did not take the watching VFS")
    return recorder


def _path(name: int | None) -> Path | None:
    return Path(os.fsdecode(ctypes.string_at(name))) if name else None


def _watch_file(file: int, name: str, recorder: Recorder, flushes: bool) -> None:
    table = ctypes.c_void_p.from_address(file)
    methods = (ctypes.c_void_p * _METHODS).from_buffer_copy(
        ctypes.string_at(table.value or 0, _METHODS * _POINTER)
    )
    plain_write, plain_truncate = _PUT(methods[_X_WRITE]), _CUT(methods[_X_TRUNCATE])
    plain_sync = _FLUSH(methods[_X_SYNC])

    @_PUT
    def writing(handle: int, data: int, size: int, offset: int) -> int:
        code = int(plain_write(handle, data, size, offset))
        if code == _OK:
            recorder.add(WRITE, name, offset, ctypes.string_at(data, size))
        return code

    @_CUT
    def truncating(handle: int, size: int) -> int:
        code = int(plain_truncate(handle, size))
        if code == _OK:
            recorder.add(TRUNCATE, name, size)
        return code

    @_FLUSH
    def syncing(handle: int, flags: int) -> int:
        code = int(plain_sync(handle, flags))
        if code == _OK and flushes:
            recorder.add(SYNC, name)
        return code

    for place, function in ((_X_WRITE, writing), (_X_TRUNCATE, truncating), (_X_SYNC, syncing)):
        methods[place] = ctypes.cast(function, ctypes.c_void_p).value
    table.value = ctypes.addressof(methods)
    _kept.extend((methods, writing, plain_write, truncating, plain_truncate, syncing, plain_sync))


def events(trace: Path) -> Iterator[Event]:
    """What a trace holds, without a torn end."""
    data, place = trace.read_bytes(), 0
    while place + _HEAD.size <= len(data):
        what, named, offset, size = _HEAD.unpack_from(data, place)
        begin = place + _HEAD.size + named
        place = begin + size
        if place <= len(data):
            yield Event(what, data[begin - named : begin].decode(), offset, data[begin:place])


@dataclass
class _File:
    """What is surely on the platter, and what was done since the last sync."""

    synced: bytearray
    new: bool  # its name may not be on the platter yet
    since: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.since:
            _apply(self.synced, event)
        self.since.clear()

    def left(self, chance: random.Random, sector: int) -> bytes:
        """Everything since is dropped, or each sector touched has a fate of its own."""
        if not self.since or chance.random() < 0.1:
            return bytes(self.synced)
        written = bytearray(self.synced)
        touched: set[int] = set()
        for event in self.since:
            _apply(written, event)
            end = event.offset + len(event.data)
            touched.update(range(event.offset // sector, -(-end // sector)))
        result = bytearray(self.synced.ljust(len(written), b"\0"))
        for start in (number * sector for number in sorted(touched)):
            new = written[start : start + sector]
            old = result[start : start + len(new)]
            garbled = chance.randbytes(len(new))
            result[start : start + len(new)] = chance.choice((old, new, garbled, garbled))
        return bytes(result)


def _apply(content: bytearray, event: Event) -> None:
    if event.what == TRUNCATE:
        del content[event.offset :]
    if event.what == WRITE:
        content.extend(bytes(max(0, event.offset - len(content))))
        content[event.offset : event.offset + len(event.data)] = event.data


class Disk:
    """The files of one folder while a trace is played."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._now: dict[str, _File] = {}  # by the names the process sees
        self._names: list[dict[str, _File]] = [{}]  # names on the platter; then what they may be

    def play(self, event: Event) -> None:
        """One step on."""
        if event.what == NOTE:
            self.notes.append(event.name)
        elif event.what == CREATE:
            self._now[event.name] = _File(bytearray(event.data), new=not event.offset)
            self._names.append(dict(self._now))
            if event.offset:  # it was there before: an earlier cut has left it
                self._sync_names()
        elif event.what == DELETE:
            self._now.pop(event.name, None)
            self._names.append(dict(self._now))
            if event.offset:
                self._sync_names()
        elif event.what == SYNC:
            self._sync(event.name)
        else:
            self._now[event.name].since.append(event)

    def cut(self, folder: Path, chance: random.Random) -> None:
        """Leave in a folder what a power cut may leave now. Names arrive in the order they were
        made and unmade; how many of them, is chance."""
        for name in set().union(*self._names):
            (folder / name).unlink(missing_ok=True)
            (folder / f"{name}-shm").unlink(missing_ok=True)
        sector = chance.choice(SECTORS)
        for name, file in chance.choice(self._names).items():
            (folder / name).write_bytes(file.left(chance, sector))

    def _sync(self, name: str) -> None:
        if name == FOLDER:
            self._sync_names()
            return
        file = self._now[name]
        file.sync()
        # SQLite syncs the folder along with a log it has just made, never with the database.
        if file.new and name.endswith(("-wal", "-journal")):
            self._sync_names()
            file.new = False

    def _sync_names(self) -> None:
        self._names = [dict(self._now)]


def cut(folder: Path, trace: Path, chance: random.Random) -> None:
    """Cut the power at the end of a trace; the next life begins one of its own."""
    disk = Disk()
    for event in events(trace):
        disk.play(event)
    disk.cut(folder, chance)
    trace.unlink()
