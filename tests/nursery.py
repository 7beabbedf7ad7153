"""Starts test programs in milliseconds: one process has imported them and forks them off.

Hundreds of kills would else be spent importing. What is killed is a process of its own, with files,
threads and memory of its own. Run as a program by `Nursery`; its children die with it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_DIE_WITH_PARENT = 1  # prctl(2), PR_SET_PDEATHSIG


class Child(Protocol):
    """A running program, as `subprocess.Popen` shows it."""

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


class _Forked:
    """A grandchild: watched by a descriptor, so that its number is never mistaken for another's."""

    def __init__(self, pid: int) -> None:
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except ProcessLookupError:  # over already
            self._descriptor = None

    def poll(self) -> int | None:
        if self._descriptor is not None and select.select([self._descriptor], [], [], 0)[0]:
            os.close(self._descriptor)
            self._descriptor = None
        return None if self._descriptor is not None else 1

    def kill(self) -> None:
        if self.poll() is None and self._descriptor is not None:
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self) -> int:
        if self._descriptor is not None:
            select.select([self._descriptor], [], [])
        return self.poll() or 0


class Nursery:
    """Starts `[module, argument, …]`: the module's `main()` with these arguments."""

    def __init__(self, modules: Sequence[str], given: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **given},
        )

    def start(self, command: Sequence[str], log: Path) -> Child:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(log), *command]).encode() + b"\n")
        self._process.stdin.flush()
        return _Forked(int(self._process.stdout.readline()))

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._process.wait()


@contextmanager
def nursery(*modules: str, **given: str) -> Iterator[Nursery]:
    """A nursery and the end of all its children, which are given these environment variables."""
    running = Nursery(modules, given)
    try:
        yield running
    finally:
        running.close()


def popen(command: Sequence[str], log: Path) -> Child:
    """The ordinary way, for whole programs."""
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which closes our input
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: the kernel buries the dead
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin.buffer:
        log, *command = json.loads(line)
        if not (pid := os.fork()):
            _live(log, command)
        os.write(sys.stdout.fileno(), b"%d\n" % pid)


def _live(log: str, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    empty = os.open(os.devnull, os.O_RDONLY)
    for given, wanted in ((empty, 0), (out, 1), (out, 2)):
        os.dup2(given, wanted)
    for name in (signal.SIGINT, signal.SIGCHLD):
        signal.signal(name, signal.SIG_DFL)
    sys.argv = command
    try:
        sys.modules[command[0]].main()
        code: object = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - nothing may return into the nursery's loop
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


if __name__ == "__main__":
    main()
