"""The port behind which a job runs: the same contract for namespaces, Kubernetes and memory.

The contract is idempotent, since a controller may be killed between any two of its steps and then
repeats the last: `start` of an attempt that was started before does nothing, `stop` and `remove` of
one that is gone do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sandbox.jobs.spec import JobSpec


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CPU_USED_UP = "cpu_used_up"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """It names an environment or an input that is not here; nothing was run."""
    INTERRUPTED = "interrupted"
    """The machine or the supervisor was lost; nothing is kept, and it may be run anew."""


@dataclass(frozen=True)
class Task:
    """One attempt as an executor gets it; `code` and `inputs` are folders that are only read."""

    attempt_id: str
    spec: JobSpec
    code: Path
    inputs: dict[str, Path]


@dataclass(frozen=True)
class Use:
    """What an attempt used: seconds and bytes."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class Ended:
    """An attempt that is over; `exit_code` is None where it did not end by itself."""

    outcome: Outcome
    exit_code: int | None
    use: Use
    dropped: tuple[str, ...] = ()
    """Why declared outputs were not taken, and how many others there were: never their names."""


class CannotRun(Exception):
    """The task names what the executor does not have; the message says what."""


class Executor(Protocol):
    """Runs attempts apart from everything and from one another."""

    def start(self, task: Task) -> None:
        """Start the attempt unless it was started before; CannotRun if it never could be."""

    def look(self, attempt_id: str) -> Ended | bool:
        """How it ended; True while it runs; False if it was never started."""

    def stop(self, attempt_id: str) -> None:
        """End it as cancelled, if it runs."""

    def log(self, attempt_id: str) -> bytes:
        """What it wrote to its standard output and error so far, cut at its limit."""

    def outputs(self, attempt_id: str) -> dict[str, Path]:
        """The declared outputs of an attempt that ended, by name: regular files only."""

    def remove(self, attempt_id: str) -> None:
        """Forget an attempt that ended, and its files."""
