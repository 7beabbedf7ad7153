"""Carry jobs from the queue to their end; after a kill the last step is done once more."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sandbox.jobs.book import Attempt, Job, JobBook, Kind, Output
from sandbox.jobs.code import CodeStore
from sandbox.jobs.executor import CannotRun, Ended, Executor, Outcome, Task, Use

KEPT: Final = timedelta(days=7)
"""How long the outputs of a job of the sandbox can be fetched."""
Inputs = Callable[[Job], dict[str, Path]]
"""Where the folders of a job's inputs lie, by name; decided by the job's kind, not by the job."""


class Controller:
    """One process that runs jobs on one executor, `slots` at once."""

    def __init__(
        self, book: JobBook, executor: Executor, code: CodeStore, inputs: Inputs,
        results: Path, *, slots: int = 2,
    ) -> None:  # fmt: skip
        self._book = book
        self._executor = executor
        self._code = code
        self._inputs = inputs
        self._results = results
        self._slots = slots
        results.mkdir(parents=True, exist_ok=True, mode=0o700)

    def step(self) -> bool:
        """Look at every job that runs, start those there is room for; whether any is unfinished."""
        for job, attempt in self._book.running():
            self._follow(job, attempt)
        room = self._slots - len(self._book.running())
        for job in self._book.waiting(max(0, room)):
            begun = self._book.begin(job)
            if begun is not None:
                self._start(job, begun)
        return bool(self._book.running() or self._book.waiting(1))

    def sweep(self, now: datetime) -> None:
        """Take away what jobs of the sandbox left longer ago than `KEPT`; the book still knows it.

        What validation runs left stays: it is what was reviewed.
        """
        for job_id in self._book.ended_before(now - KEPT, Kind.SANDBOX):
            shutil.rmtree(self._results / job_id / "outputs", ignore_errors=True)

    def _start(self, job: Job, attempt: Attempt) -> None:
        code = self._code.folder(job.code_digest)
        try:
            self._executor.start(Task(attempt.attempt_id, job.spec, code, self._inputs(job)))
        except CannotRun as error:
            refused = Ended(Outcome.REFUSED, None, Use(), (str(error),))
            self._book.end(job, attempt, refused, [])
            self._executor.remove(attempt.attempt_id)

    def _follow(self, job: Job, attempt: Attempt) -> None:
        seen = self._executor.look(attempt.attempt_id)
        if seen is False:
            self._start(job, attempt)
        elif seen is True:
            if job.cancel:
                self._executor.stop(attempt.attempt_id)
        else:
            self._finish(job, attempt, seen)

    def _finish(self, job: Job, attempt: Attempt, ended: Ended) -> None:
        outputs = []
        if ended.outcome is Outcome.SUCCEEDED:
            outputs = self._kept(job, attempt)
        self._keep_log(job, attempt)
        self._book.end(job, attempt, ended, outputs)
        self._executor.remove(attempt.attempt_id)

    def _kept(self, job: Job, attempt: Attempt) -> list[Output]:
        folder = self._results / job.job_id / "outputs"
        folder.mkdir(parents=True, exist_ok=True)
        kept = []
        for name, path in self._executor.outputs(attempt.attempt_id).items():
            shutil.copyfile(path, folder / name)
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            kept.append(Output(name, (folder / name).stat().st_size, digest))
        return kept

    def _keep_log(self, job: Job, attempt: Attempt) -> None:
        folder = self._results / job.job_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log").write_bytes(self._executor.log(attempt.attempt_id))
