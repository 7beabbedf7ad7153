"""The filter of system calls of a job, compiled by libseccomp for the machine it runs on.

What a training run never needs and what has been used to leave containers is refused; the network
needs no rule here, for the job has none, but for families of sockets that no namespace confines
(vsock reaches the host of a virtual machine).
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_EQUAL, _GREATER, _MASKED_EQUAL = 4, 6, 7  # SCMP_CMP_EQ, _GT, _MASKED_EQ
_UNKNOWN: Final = -1  # __NR_SCMP_ERROR
_LIBRARY: Final = "libseccomp.so.2"

_REFUSED: Final = (
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime",
    "delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick",
    "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
    "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mknod", "mknodat",
    "mount", "mount_setattr", "move_mount", "move_pages", "name_to_handle_at", "nfsservctl",
    "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pidfd_getfd", "pivot_root",
    "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl",
    "quotactl_fd", "reboot", "request_key", "setdomainname", "sethostname", "setns",
    "settimeofday", "swapoff", "swapon", "syslog", "umount", "umount2", "unshare", "uselib",
    "userfaultfd", "vhangup",
)  # fmt: skip
_NEW_NAMESPACES: Final = (
    0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip  # CLONE_NEWTIME, NS, CGROUP, UTS, IPC, USER, PID, NET
_SOCKETS: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6 (the greatest): in its empty network
_PUSH_INPUT: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into another's terminal


class FilterUnavailable(RuntimeError):
    """The filter cannot be made here; then nothing runs."""


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of libseccomp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class _Filter:
    """One filter under construction."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._lib = library
        library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(library.seccomp_init(_ALLOW))
        if not self._context:
            raise FilterUnavailable("libseccomp made no filter.")

    def refuse(self, call: str, code: int, *where: _Comparison) -> None:
        """Let `call` fail with `code` where all comparisons hold; unknown here, it is no call."""
        number = self._lib.seccomp_syscall_resolve_name(call.encode())
        if number == _UNKNOWN:
            return
        array = (_Comparison * max(1, len(where)))(*where)
        done = self._lib.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(_ERRNO | code), number, len(where), array
        )
        if done != 0:
            raise FilterUnavailable(f"libseccomp refused the rule of {call} ({done}).")

    def written(self) -> bytes:
        """The filter as BPF instructions."""
        at = os.memfd_create("seccomp")
        try:
            if self._lib.seccomp_export_bpf(self._context, at) != 0:
                raise FilterUnavailable("libseccomp did not write the filter.")
            return os.pread(at, 1 << 20, 0)
        finally:
            os.close(at)
            self._lib.seccomp_release(self._context)


def compiled() -> bytes:
    """The filter of this machine as BPF; FilterUnavailable if libseccomp is not installed."""
    try:
        made = _Filter(ctypes.CDLL(_LIBRARY))
    except OSError:
        raise FilterUnavailable("libseccomp is not installed; no job is run without it.") from None
    for call in _REFUSED:
        made.refuse(call, errno.EPERM)
    for flag in _NEW_NAMESPACES:
        made.refuse("clone", errno.EPERM, _Comparison(0, _MASKED_EQUAL, flag, flag))
    made.refuse("clone3", errno.ENOSYS)  # its flags lie in memory, where no filter sees them
    for family in set(range(max(_SOCKETS))) - set(_SOCKETS):
        made.refuse("socket", errno.EAFNOSUPPORT, _Comparison(0, _EQUAL, family))
    made.refuse("socket", errno.EAFNOSUPPORT, _Comparison(0, _GREATER, max(_SOCKETS)))
    for request in _PUSH_INPUT:
        made.refuse("ioctl", errno.EPERM, _Comparison(1, _MASKED_EQUAL, 0xFFFFFFFF, request))
    return made.written()
