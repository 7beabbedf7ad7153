"""The few system calls of Linux that Python 3.11 does not offer: private mounts of one process."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

_NEW_MOUNTS: Final = 0x00020000  # CLONE_NEWNS
_NEW_USERS: Final = 0x10000000  # CLONE_NEWUSER
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 1 << 18  # MS_BIND, MS_REC, MS_PRIVATE
_NO_SUID, _NO_DEVICES = 0x2, 0x4  # MS_NOSUID, MS_NODEV
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def own_mounts() -> None:
    """Give this process a table of mounts of its own; without privileges, in a user namespace."""
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_MOUNTS if user == 0 else _NEW_MOUNTS | _NEW_USERS
    _checked(_libc.unshare(flags), "unshare")
    if flags & _NEW_USERS:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None)


def memory_folder(at: Path, size: int, files: int, user: int) -> None:
    """Mount a folder in memory for at most `size` bytes in `files` files, owned by `user`."""
    data = f"size={size},nr_inodes={files},mode=0700,uid={user},gid={user}"
    _mount(b"tmpfs", os.fsencode(at), b"tmpfs", _NO_SUID | _NO_DEVICES, data.encode())


def bind(opened: int, at: Path) -> None:
    """Show the folder behind the descriptor `opened` at `at` as well."""
    _mount(f"/proc/self/fd/{opened}".encode(), os.fsencode(at), None, _BIND | _RECURSIVE, None)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent is gone."""
    _checked(_libc.prctl(_DIE_WITH_PARENT, 9, 0, 0, 0), "prctl")


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    _checked(_libc.mount(source, target, kind, ctypes.c_ulong(flags), data), "mount")
