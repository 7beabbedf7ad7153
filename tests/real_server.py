"""What starting any real server for a test needs: the program, a user it accepts, a folder, an end.

A server that is missing fails the run in CI and skips elsewhere.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NoReturn, Self

import pytest

from tests.crash_harness import free_port

PATIENCE = 60.0  # seconds; only ends a run that would hang


def missing(what: str, verb: str = "make services") -> NoReturn:
    """The server is not there: red in CI, a skip with its reason elsewhere."""
    reason = f"no {what} on this machine: run `{verb}`"
    if "SLUICE_CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def unprivileged(*names: str) -> str | None:
    """The user to start as where this process is root; None: as who we are."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*names, "nobody") if name in known)


@contextmanager
def folder_of(user: str | None) -> Iterator[Path]:
    """A folder that this user owns and reaches, which pytest's own folders are not for others."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-server-"))
    try:
        if user is not None:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Guard:
    """Ends a server whose test run was killed and could not do so itself."""

    _SCRIPT = 'while read -r pid; do last=$pid; done; test -z "$last" || kill -QUIT "$last"'

    def __init__(self) -> None:
        self._shell = subprocess.Popen(
            ["sh", "-c", self._SCRIPT], stdin=subprocess.PIPE, process_group=0, text=True
        )

    def watch(self, process: subprocess.Popen[bytes] | None) -> None:
        """From now on this one; None: it has ended in order."""
        assert self._shell.stdin
        self._shell.stdin.write(f"{'' if process is None else process.pid}\n")
        self._shell.stdin.flush()

    def close(self) -> None:
        assert self._shell.stdin
        self._shell.stdin.close()
        self._shell.wait()


def spawn(command: Sequence[str], log: Path, user: str | None) -> subprocess.Popen[bytes]:
    """Start a server in the foreground, in a process group of its own: Ctrl-C is for pytest."""
    group = None if user is None else pwd.getpwnam(user).pw_gid
    extra: list[int] | None = None if user is None else []
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            user=user,
            group=group,
            extra_groups=extra,
            process_group=0,
            cwd=log.parent,
        )


def wait_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> bool:
    """True once it answers, False if it ended by itself."""
    ends = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None:
            return False
        assert time.monotonic() < ends, log.read_text(errors="replace")[-2000:]
        time.sleep(0.02)
    return True


def end(process: subprocess.Popen[bytes], signal: int) -> None:
    """Send a signal and wait; what does not end is killed, and that is an error."""
    if process.poll() is None:
        process.send_signal(signal)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@dataclass
class RealServer(ABC):
    """One server: start, stop and start again; the port and what it keeps stay.

    A kind of server says how it is called (`command`), by what it is ended (`ends_by`: at least
    `fast` and `immediate`, which is a crash), and whether it takes a question now (`answers`).
    """

    folder: Path
    user: str | None
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=secrets.token_hex)
    _guard: Guard = field(default_factory=Guard)
    _process: subprocess.Popen[bytes] | None = None

    ends_by: ClassVar[Mapping[str, int]]

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def pid(self) -> int:
        """The server's, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start and wait until it answers; a port still held by the last life is tried again."""
        assert self._process is None, "it runs already"
        for _ in range(20):
            process = spawn(self.command(), self.log, self.user)
            if wait_ready(process, self.answers, self.log):
                self._process = process
                self._guard.watch(process)
                return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text(errors="replace")[-2000:])

    def stop(self, how: str = "fast") -> None:
        if self._process is not None:
            process, self._process = self._process, None
            end(process, self.ends_by[how])
            self._guard.watch(None)

    def restart(self, how: str = "fast") -> None:
        self.stop(how)
        self.start()

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Running inside the block, gone after it."""
        self.start()
        try:
            yield self
        finally:
            self.stop("immediate")
            self._guard.close()
