"""The process beside each attempt: shuts the job in, watches it, keeps its outputs.

Started as `python -m sandbox.jobs.supervise FOLDER`. It outlives the controller that started it;
the job does not outlive it. A lock on the folder says that it lives, `started` that the attempt
was begun once and for all, `end.json` how it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import selectors
import signal
import subprocess  # bubblewrap, with a command of our own making
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final
from zlib import crc32

from sandbox.jobs import cgroups, kernel, watching
from sandbox.jobs.bubble import SHOWN, Environment, command
from sandbox.jobs.executor import Outcome
from sandbox.jobs.harvest import gather
from sandbox.jobs.places import Folder
from sandbox.jobs.spec import JobSpec, Limits
from sandbox.jobs.syscalls import compiled

_FIRST_USER, _USERS = 700_000, 1 << 17
_TICK: Final = 0.05  # seconds between two looks at a run
_OWN_PROCESSES: Final = 4  # bubblewrap's own, which the kernel counts with the job's
_FILES: Final = 4_096  # of a job's output; so that names alone cannot fill memory


class _Run:
    """One job under way."""

    def __init__(self, folder: Folder, task: dict[str, Any]) -> None:
        self._folder = folder
        self._spec = JobSpec.model_validate(task["spec"])
        self._task = task
        self._environment = Environment(**task["environment"])
        self._limits: Limits = self._spec.limits
        self._user = _FIRST_USER + crc32(folder.attempt_id.encode()) % _USERS
        self._as_root = os.geteuid() == 0
        self._peak = 0

    def end(self) -> dict[str, Any]:
        """Run it to its end; what is written down of it."""
        self._show()
        group = cgroups.made(
            self._folder.attempt_id,
            self._task["cgroup"],
            self._limits.memory_bytes,
            self._limits.processes + _OWN_PROCESSES,
        )
        began = time.monotonic()
        try:
            started = self._shut_in(group)
            why = self._watched(started, group, began)
            status = started.wait()
            used = self._cpu(group)
            if group is not None and why is None and group.out_of_memory():
                why = Outcome.OUT_OF_MEMORY
            peak = max(self._peak, group.peak_memory() if group else 0)
        finally:
            if group is not None:
                group.clear()
        outcome = why or (Outcome.SUCCEEDED if status == 0 else Outcome.FAILED)
        return {
            "outcome": outcome.value,
            "exit_code": None if why else status,
            "wall_seconds": round(time.monotonic() - began, 3),
            "cpu_seconds": round(used, 3),
            "peak_memory_bytes": peak,
            "dropped": self._kept(),
        }

    def _show(self) -> None:
        """Gather code, inputs and an empty output under one folder that only this process sees."""
        sources = {"code": self._task["code"]}
        sources |= {f"input/{name}": at for name, at in self._task["inputs"].items()}
        sources |= {f"programs/{i}": at for i, at in enumerate(self._environment.folders)}
        kernel.own_mounts()
        opened = {n: os.open(at, os.O_PATH | os.O_DIRECTORY) for n, at in sources.items()}
        inside = 0 if not self._as_root else self._user
        os.umask(0o022)
        kernel.memory_folder(SHOWN, 1 << 20, 64, inside)
        for name, source in opened.items():
            (SHOWN / name).mkdir(parents=True, mode=0o755)
            kernel.bind(source, SHOWN / name)
            os.close(source)
        (SHOWN / "output").mkdir()
        kernel.memory_folder(SHOWN / "output", self._limits.output_mib << 20, _FILES, inside)

    def _shut_in(self, group: cgroups.Group | None) -> subprocess.Popen[bytes]:
        rules = os.memfd_create("rules", 0)
        os.write(rules, compiled())
        os.lseek(rules, 0, os.SEEK_SET)
        spec = self._spec
        words = command(self._environment, spec, rules)
        started = subprocess.Popen(  # noqa: S603
            words,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.defpath}, pass_fds=(rules,), cwd="/",
            preexec_fn=lambda: self._become(group),  # noqa: PLW1509  # one thread, after its fork
        )  # fmt: skip
        os.close(rules)
        return started

    def _become(self, group: cgroups.Group | None) -> None:
        """In the child: enter the group, take on the limits, give up every privilege."""
        if group is not None:
            group.enter()
        limits = self._limits
        for kind, most in (
            (resource.RLIMIT_CPU, limits.cpu_seconds),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, 256),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_FSIZE, max(limits.output_mib, limits.scratch_mib) << 20),
        ):
            resource.setrlimit(kind, (most, most))
        if group is None:  # only measured from outside, so each process has a bound of its own
            resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
        if self._as_root:
            os.setgroups([])
            os.setresgid(self._user, self._user, self._user)
            os.setresuid(self._user, self._user, self._user)
            most = limits.processes + _OWN_PROCESSES
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        kernel.die_with_parent()

    def _watched(
        self, started: subprocess.Popen[bytes], group: cgroups.Group | None, began: float
    ) -> Outcome | None:
        """Keep the log and look at the limits until the job is over; why it was ended, if so."""
        why: Outcome | None = None
        assert started.stdout is not None  # noqa: S101  # asked for above
        with selectors.DefaultSelector() as ready, self._folder.log.open("ab", 0) as log:
            os.set_blocking(started.stdout.fileno(), False)
            ready.register(started.stdout, selectors.EVENT_READ)
            while started.poll() is None:
                if ready.select(_TICK):
                    self._logged(started.stdout, log)
                why = why or self._reason(started.pid, group, began)
                if why:
                    started.kill()
            self._logged(started.stdout, log)
        return why

    def _reason(self, pid: int, group: cgroups.Group | None, began: float) -> Outcome | None:
        if self._folder.stop.exists():
            return Outcome.CANCELLED
        if time.monotonic() - began > self._limits.wall_seconds:
            return Outcome.TIMED_OUT
        if group is not None:
            over = group.cpu_seconds() > self._limits.cpu_seconds
            return Outcome.CPU_USED_UP if over else None
        self._peak = max(self._peak, watching.memory_of(watching.space_within(pid)))
        return Outcome.OUT_OF_MEMORY if self._peak > self._limits.memory_bytes else None

    def _logged(self, source: IO[bytes], log: IO[bytes]) -> None:
        with suppress(BlockingIOError):
            while piece := os.read(source.fileno(), 1 << 16):
                room = (self._limits.log_kib << 10) - log.tell()
                log.write(piece[: max(0, room)])
                if len(piece) < 1 << 16:
                    return

    def _cpu(self, group: cgroups.Group | None) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return max(used.ru_utime + used.ru_stime, group.cpu_seconds() if group else 0.0)

    def _kept(self) -> list[str]:
        self._folder.outputs.mkdir(exist_ok=True)
        most = self._limits.output_mib << 20
        return gather(SHOWN / "output", self._folder.outputs, self._spec.outputs, most)


def _locked(folder: Folder) -> int | None:
    """The lock that says this process has the attempt; None if another has it."""
    at = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(at, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return at


def main(path: str) -> int:
    """Supervise the attempt in the folder, once; at once 0 if somebody does or did."""
    folder = Folder(Path(path))
    if _locked(folder) is None or folder.started.exists():
        return 0
    folder.mark(folder.started, b"")
    if os.fork():
        return 0  # the starter goes on; the child has the lock, and nobody waits for it
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ended = _Run(folder, json.loads(folder.task.read_text())).end()
    except Exception as error:  # noqa: BLE001  # told to the operator; nothing ran unprotected
        sys.stderr.write(f"supervise: {type(error).__name__}: {error}\n")
        ended = {"outcome": Outcome.INTERRUPTED.value, "exit_code": None, "fault": str(error)}
    folder.mark(folder.end, json.dumps(ended).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
