"""Jobs as Kubernetes Jobs, behind the contract of all executors.

The name of an attempt's Job is the attempt's, so the cluster itself keeps it from being begun
twice: a controller that was killed asks for the same object once more.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from sandbox.jobs.executor import CannotRun, Ended, Outcome, Task, Use
from sandbox.jobs.harvest import gather
from sandbox.jobs.manifests import COMPONENT, Object, Place, deny_all, job, name_of
from sandbox.jobs.namespaces import ExecutorUnavailable

_MEBI: Final = 1 << 20
_CPU_SIGNALS: Final = frozenset({128 + 24, 128 + 9})
"""Exit codes of SIGXCPU, and of the kill that follows it."""
_STOPPED: Final = "stopped"


class Cluster(Protocol):
    """What is asked of a cluster, in one namespace."""

    def create(self, told: Object) -> None:
        """Make an object; one of its name that is there already stays as it is."""

    def find(self, kind: str, name: str) -> Object | None:
        """An object; None where there is none."""

    def pods(self, job_name: str) -> Sequence[Object]:
        """The pods of a Job."""

    def log(self, pod: str, octets: int) -> bytes:
        """What a pod wrote, cut."""

    def delete(self, kind: str, name: str) -> None:
        """Take an object away with what it made; nothing where there is none."""


@dataclass(frozen=True)
class KubernetesExecutor:
    """Runs attempts as Jobs; `volume` is where the claim of the place is mounted here, `runs` a
    folder on it."""

    cluster: Cluster
    place: Place
    volume: Path
    runs: Path

    def check(self) -> None:
        """Raises `ExecutorUnavailable` where the cluster does not answer."""
        self.cluster.find("job", name_of("none"))

    def start(self, task: Task) -> None:
        """Start the attempt unless it was started before; CannotRun if it never could be."""
        at = self._at(task.attempt_id)
        if (at / _STOPPED).exists():
            return
        (at / "output").mkdir(parents=True, exist_ok=True)
        (at / "output").chmod(0o770)
        told = job(task, self.place, self._folders(task, at))
        kept = {"outputs": task.spec.outputs, "limits": task.spec.limits.model_dump()}
        (at / "task.json").write_text(json.dumps(kept), "utf-8")
        self.cluster.create(deny_all(self.place))  # before any pod it is about
        self.cluster.create(told)

    def _folders(self, task: Task, at: Path) -> Mapping[str, str]:
        wanted = {"code": task.code, "output": at / "output", **task.inputs}
        try:
            return {
                name: str(path.resolve().relative_to(self.volume)) for name, path in wanted.items()
            }
        except ValueError as error:
            raise CannotRun("Code and inputs have to lie on the volume of the jobs.") from error

    def look(self, attempt_id: str) -> Ended | bool:
        """How it ended; True while it runs; False if it was never started."""
        if (self._at(attempt_id) / _STOPPED).exists():
            return Ended(Outcome.CANCELLED, None, Use())
        found = self.cluster.find("job", name_of(attempt_id))
        if found is None:
            return False
        status = found.get("status", {})
        over = [each for each in status.get("conditions", ()) if each.get("status") == "True"]
        reasons = {each["type"]: each.get("reason", "") for each in over}
        if not {"Complete", "Failed"} & reasons.keys():
            return True
        return self._ended(attempt_id, status, reasons)

    def _ended(self, attempt_id: str, status: Object, reasons: Mapping[str, str]) -> Ended:
        state = self._terminated(attempt_id)
        code = state.get("exitCode")
        use = Use(wall_seconds=_seconds(status.get("startTime"), _end(status, state)))
        if reasons.get("Failed") == "DeadlineExceeded":
            return Ended(Outcome.TIMED_OUT, None, use)
        if state.get("reason") == "OOMKilled":
            return Ended(Outcome.OUT_OF_MEMORY, None, use)
        if code is None:
            return Ended(Outcome.INTERRUPTED, None, use)
        if code in _CPU_SIGNALS:
            return Ended(Outcome.CPU_USED_UP, None, use)
        outcome = Outcome.FAILED if code else Outcome.SUCCEEDED
        return Ended(outcome, code, use, tuple(self._gathered(attempt_id)))

    def _terminated(self, attempt_id: str) -> Object:
        for pod in self.cluster.pods(name_of(attempt_id)):
            for each in pod.get("status", {}).get("containerStatuses", ()):
                ended: Object | None = each.get("state", {}).get("terminated")
                if ended is not None:
                    return ended
        return {}

    def _gathered(self, attempt_id: str) -> list[str]:
        at = self._at(attempt_id)
        told = json.loads((at / "task.json").read_text("utf-8"))
        (at / "outputs").mkdir(exist_ok=True)
        most = told["limits"]["output_mib"] * _MEBI
        return gather(at / "output", at / "outputs", tuple(told["outputs"]), most)

    def stop(self, attempt_id: str) -> None:
        """End it as cancelled, if it runs; the mark comes first, so that it is not begun again."""
        if self.look(attempt_id) is True:
            (self._at(attempt_id) / _STOPPED).touch()
            self.cluster.delete("job", name_of(attempt_id))

    def log(self, attempt_id: str) -> bytes:
        """What it wrote to its standard output and error so far, cut at its limit."""
        at = self._at(attempt_id) / "task.json"
        if not at.exists():
            return b""
        most = json.loads(at.read_text("utf-8"))["limits"]["log_kib"] * 1024
        pods = self.cluster.pods(name_of(attempt_id))
        return b"".join(self.cluster.log(str(p["metadata"]["name"]), most) for p in pods)[:most]

    def outputs(self, attempt_id: str) -> dict[str, Path]:
        """The declared outputs of an attempt that ended, by name: regular files only."""
        folder = self._at(attempt_id) / "outputs"
        return {each.name: each for each in sorted(folder.glob("*"))}

    def remove(self, attempt_id: str) -> None:
        """Forget an attempt that ended, and its files."""
        self.cluster.delete("job", name_of(attempt_id))
        shutil.rmtree(self._at(attempt_id), ignore_errors=True)

    def _at(self, attempt_id: str) -> Path:
        return self.runs / attempt_id


@dataclass(frozen=True)
class Kubectl:
    """A cluster by way of `kubectl`, with the controller's own credentials."""

    namespace: str
    program: str = "kubectl"

    def create(self, told: Object) -> None:
        """Asking twice is asking once: the cluster says that the name is taken."""
        try:
            self._run("create", "-f", "-", stdin=json.dumps(told).encode())
        except ClusterUnreachable:
            if self.find(str(told["kind"]), str(told["metadata"]["name"])) is None:
                raise

    def find(self, kind: str, name: str) -> Object | None:
        """An object; None where there is none."""
        said = self._run("get", kind, name, "--ignore-not-found", "-o", "json")
        found: Object | None = json.loads(said) if said.strip() else None
        return found

    def pods(self, job_name: str) -> Sequence[Object]:
        """The pods of a Job."""
        wanted = ",".join((f"job-name={job_name}", *(f"{k}={v}" for k, v in COMPONENT.items())))
        listed: Sequence[Object] = json.loads(self._run("get", "pods", "-l", wanted, "-o", "json"))[
            "items"
        ]
        return listed

    def log(self, pod: str, octets: int) -> bytes:
        """What a pod wrote, cut."""
        return self._run("logs", pod, f"--limit-bytes={octets}")

    def delete(self, kind: str, name: str) -> None:
        """Take an object away with what it made."""
        self._run("delete", kind, name, "--ignore-not-found", "--cascade=foreground")

    def _run(self, *words: str, stdin: bytes = b"") -> bytes:
        command = [self.program, "--namespace", self.namespace, *words]
        try:
            done = subprocess.run(  # noqa: S603 - no shell; names are the attempt's own
                command, input=stdin, capture_output=True, check=True, timeout=60
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ClusterUnreachable(f"kubectl {words[0]} failed: {error}") from error
        return done.stdout


class ClusterUnreachable(ExecutorUnavailable):
    """The cluster did not answer; what was asked for is asked for again."""


def _seconds(begun: object, ended: object) -> float:
    if not (isinstance(begun, str) and isinstance(ended, str)):
        return 0.0
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


def _end(status: Object, state: Object) -> object:
    return status.get("completionTime") or state.get("finishedAt")
