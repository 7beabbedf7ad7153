"""The executor on Linux: bubblewrap's namespaces, a supervisor beside each attempt."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess  # our own supervisor
import sys
from pathlib import Path
from typing import Any

from sandbox.jobs import cgroups
from sandbox.jobs.bubble import Environment
from sandbox.jobs.executor import CannotRun, Ended, Outcome, Task, Use
from sandbox.jobs.places import Folder
from sandbox.jobs.syscalls import FilterUnavailable, compiled


class ExecutorUnavailable(RuntimeError):
    """This machine cannot shut a job in; then none is started."""


class Namespaces:
    """Attempts as folders below `root`; `environments` are the programs a job may ask for.

    `cgroup` is a delegated group of version 2, below /sys/fs/cgroup; empty where none is.
    """

    def __init__(self, root: Path, environments: dict[str, Environment], cgroup: str = "") -> None:
        self._root = root
        self._cgroup = cgroup
        self._environments = environments
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def check(self) -> None:
        """ExecutorUnavailable, with what is missing, unless a job could be shut in here."""
        if shutil.which("bwrap") is None:
            raise ExecutorUnavailable("bubblewrap (bwrap) is not installed.")
        try:
            compiled()
        except FilterUnavailable as error:
            raise ExecutorUnavailable(str(error)) from None

    def start(self, task: Task) -> None:
        """Start the attempt unless it was started before."""
        self.check()
        folder = self._folder(task.attempt_id)
        folder.at.mkdir(exist_ok=True, mode=0o700)
        if not folder.task.exists():
            folder.mark(folder.task, json.dumps(self._told(task)).encode())
        with (folder.at / "supervisor.log").open("ab") as told:
            subprocess.run(  # noqa: S603
                [sys.executable, "-m", "sandbox.jobs.supervise", str(folder.at)],
                stdin=subprocess.DEVNULL, stdout=told, stderr=told, check=True, cwd=_project(),
            )  # fmt: skip

    def look(self, attempt_id: str) -> Ended | bool:
        """How it ended; True while it runs; False if it was never started."""
        folder = self._folder(attempt_id)
        if folder.end.exists():
            return _ended(json.loads(folder.end.read_text()))
        if not folder.started.exists():
            return False
        with folder.lock.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            if not folder.end.exists():  # its supervisor is gone, and by that the job
                group = cgroups.group_of(attempt_id, self._cgroup)
                if group is not None:
                    group.clear()
                folder.mark(folder.end, b'{"outcome": "interrupted", "exit_code": null}')
        return _ended(json.loads(folder.end.read_text()))

    def stop(self, attempt_id: str) -> None:
        """End it as cancelled, if it runs."""
        folder = self._folder(attempt_id)
        if folder.at.is_dir():
            folder.stop.touch()

    def log(self, attempt_id: str) -> bytes:
        """What it wrote to its standard output and error so far, cut at its limit."""
        folder = self._folder(attempt_id)
        return folder.log.read_bytes() if folder.log.exists() else b""

    def outputs(self, attempt_id: str) -> dict[str, Path]:
        """The declared outputs of an attempt that ended, by name: regular files only."""
        folder = self._folder(attempt_id)
        if not folder.outputs.is_dir():
            return {}
        names = sorted(p for p in folder.outputs.iterdir() if p.suffix != ".part")
        return {p.name: p for p in names}

    def remove(self, attempt_id: str) -> None:
        """Forget an attempt that ended, and its files."""
        shutil.rmtree(self._folder(attempt_id).at, ignore_errors=True)

    def _told(self, task: Task) -> dict[str, Any]:
        environment = self._environments.get(task.spec.environment)
        if environment is None:
            raise CannotRun(f"There is no environment {task.spec.environment!r}.")
        missing = set(task.spec.inputs) - set(task.inputs)
        if missing:
            raise CannotRun(f"The inputs {sorted(missing)} are not here.")
        return {
            "spec": task.spec.model_dump(mode="json"),
            "code": str(task.code.resolve()),
            "inputs": {name: str(task.inputs[name].resolve()) for name in task.spec.inputs},
            "environment": environment.as_json(),
            "cgroup": self._cgroup,
        }

    def _folder(self, attempt_id: str) -> Folder:
        if not attempt_id.isalnum():
            raise ValueError("An attempt's id is letters and digits.")
        return Folder(self._root.resolve() / attempt_id)


def _ended(told: dict[str, Any]) -> Ended:
    use = Use(
        told.get("wall_seconds", 0.0),
        told.get("cpu_seconds", 0.0),
        told.get("peak_memory_bytes", 0),
    )
    return Ended(Outcome(told["outcome"]), told["exit_code"], use, tuple(told.get("dropped", ())))


def _project() -> str:
    """Where the supervisor's package lies; so that it is found wherever the caller stands."""
    return os.fspath(Path(__file__).resolve().parents[2])
