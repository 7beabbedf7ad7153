"""What is known of every job, in the operational database: each change is one transaction.

A job goes queued → running → succeeded | failed | cancelled, each step only from the state before
it, so two controllers cannot both take it. An attempt is written down before it is started: a
controller that dies between the two finds it and starts it, under the same id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sandbox.jobs.executor import Ended, Outcome
from sandbox.jobs.spec import JobSpec
from sandbox.jobs.tables import ATTEMPT, JOB, OUTPUT

ATTEMPTS = 3
"""How often a job is begun that the machine, not the job, broke off."""


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobError(Exception):
    """A request about a job that cannot be met; `code` is stable, the message is for the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Output:
    """One file that a job left: name, bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Attempt:
    """One run of a job; `outcome` is None while it runs."""

    attempt_id: str
    job_id: str
    number: int
    outcome: Outcome | None
    exit_code: int | None
    wall_ms: int
    cpu_ms: int
    peak_memory_bytes: int
    dropped: tuple[str, ...]
    began_at: str
    ended_at: str | None


@dataclass(frozen=True)
class Job:
    """One job as its owner sees it."""

    job_id: str
    tenant_id: str
    client_id: str
    spec: JobSpec
    code_digest: str
    state: State
    reason: str
    cancel: bool
    attempts: int
    submitted_at: str
    changed_at: str


Told = Callable[[sa.Connection, str, str], None]
"""Hears of each change in its transaction: the connection, what happened, the job's id."""


class JobBook:
    """Jobs of all tenants; whoever asks says which tenant it is, and sees no other's."""

    def __init__(
        self,
        engine: sa.Engine,
        now: Callable[[], datetime],
        told: Told | None = None,
        writes: sa.Engine | None = None,
    ) -> None:
        self._engine = engine
        self._writes = (
            writes or engine
        )  # where SQLite must take its lock at once to be able to wait
        self._now = now
        self._told = told or (lambda *_: None)

    def submit(
        self, tenant_id: str, client_id: str, spec: JobSpec, code_digest: str, most_open: int
    ) -> Job:
        """Queue a job; JobError `jobs_in_flight` with `most_open` of the tenant unfinished."""
        at = self._instant()
        row = {
            "job_id": secrets.token_hex(12), "tenant_id": tenant_id, "client_id": client_id,
            "spec": spec.model_dump_json(), "spec_digest": spec.digest(),
            "code_digest": code_digest, "state": State.QUEUED, "reason": "", "cancel": False,
            "attempts": 0, "submitted_at": at, "changed_at": at,
        }  # fmt: skip
        with self._writes.begin() as db:
            unfinished = JOB.c.state.in_((State.QUEUED, State.RUNNING))
            mine = sa.select(JOB.c.job_id).where(JOB.c.tenant_id == tenant_id, unfinished)
            db.execute(JOB.insert().values(row))  # first, so that two at once count each other
            flying = [each for each in db.scalars(mine) if each != row["job_id"]]
            if len(flying) >= most_open:
                raise JobError("jobs_in_flight", f"{len(flying)} jobs are not finished: {flying}.")
            self._told(db, "job_submitted", str(row["job_id"]))
        return _job(row)

    def job(self, tenant_id: str, job_id: str) -> Job:
        """One job of the tenant; JobError `no_such_job`, also for another's."""
        mine = sa.select(JOB).where(JOB.c.job_id == job_id, JOB.c.tenant_id == tenant_id)
        with self._engine.connect() as db:
            row = db.execute(mine).mappings().first()
        if row is None:
            raise JobError("no_such_job", "You have no job of this id.")
        return _job(row)

    def jobs(self, tenant_id: str, most: int = 100) -> list[Job]:
        """The tenant's latest jobs, newest first."""
        mine = sa.select(JOB).where(JOB.c.tenant_id == tenant_id)
        return self._jobs(mine.order_by(JOB.c.submitted_at.desc(), JOB.c.job_id).limit(most))

    def waiting(self, most: int) -> list[Job]:
        """Queued jobs to start next, at most `most`: of each tenant in turn, its oldest first."""
        turn = sa.func.row_number().over(partition_by=JOB.c.tenant_id, order_by=JOB.c.submitted_at)
        queued = sa.select(JOB, turn.label("turn")).where(JOB.c.state == State.QUEUED)
        return self._jobs(queued.order_by("turn", JOB.c.submitted_at).limit(most))

    def running(self) -> list[tuple[Job, Attempt]]:
        """Every job that runs, with its attempt."""
        jobs = self._jobs(sa.select(JOB).where(JOB.c.state == State.RUNNING))
        return [(job, self.attempts(job.job_id)[-1]) for job in jobs]

    def attempts(self, job_id: str) -> list[Attempt]:
        """The job's attempts in order."""
        wanted = sa.select(ATTEMPT).where(ATTEMPT.c.job_id == job_id).order_by(ATTEMPT.c.number)
        with self._engine.connect() as db:
            return [_attempt(row) for row in db.execute(wanted).mappings()]

    def outputs(self, job_id: str) -> list[Output]:
        """What the job left, by name."""
        wanted = sa.select(OUTPUT).where(OUTPUT.c.job_id == job_id).order_by(OUTPUT.c.name)
        with self._engine.connect() as db:
            return [
                Output(r["name"], r["size"], r["sha256"]) for r in db.execute(wanted).mappings()
            ]

    def begin(self, job: Job) -> Attempt | None:
        """Take a queued job: its next attempt, written down; None if it is no longer queued."""
        at = self._instant()
        row = {
            "attempt_id": secrets.token_hex(12), "job_id": job.job_id, "number": job.attempts + 1,
            "outcome": None, "exit_code": None, "wall_ms": 0, "cpu_ms": 0,
            "peak_memory_bytes": 0, "dropped": "[]", "began_at": at, "ended_at": None,
        }  # fmt: skip
        with self._writes.begin() as db:
            taken = self._moved(
                db, job.job_id, State.QUEUED, state=State.RUNNING, attempts=job.attempts + 1
            )
            if not taken:
                return None
            db.execute(ATTEMPT.insert().values(row))
            self._told(db, "job_started", job.job_id)
        return _attempt(row)

    def end(self, job: Job, attempt: Attempt, ended: Ended, outputs: Iterable[Output]) -> None:
        """Write down how the attempt ended, once; an interrupted job goes back into the queue."""
        state, reason = _after(job, attempt, ended)
        mine = ATTEMPT.c.attempt_id == attempt.attempt_id
        with self._writes.begin() as db:
            first = db.execute(
                ATTEMPT.update().where(mine, ATTEMPT.c.outcome.is_(None)).values(
                    outcome=ended.outcome, exit_code=ended.exit_code,
                    wall_ms=round(ended.use.wall_seconds * 1000),
                    cpu_ms=round(ended.use.cpu_seconds * 1000),
                    peak_memory_bytes=ended.use.peak_memory_bytes,
                    dropped=json.dumps(ended.dropped), ended_at=self._instant(),
                )
            )  # fmt: skip
            if first.rowcount != 1:
                return
            self._moved(db, job.job_id, State.RUNNING, state=state, reason=reason)
            rows = [{"job_id": job.job_id, **vars(each)} for each in outputs]
            if rows and state is State.SUCCEEDED:
                db.execute(OUTPUT.insert(), rows)
            self._told(db, f"job_attempt_{ended.outcome}", job.job_id)

    def cancel(self, tenant_id: str, job_id: str) -> Job:
        """Ask for the end of a job: a queued one ends now; JobError `job_ended` if it is over."""
        job = self.job(tenant_id, job_id)
        with self._writes.begin() as db:
            queued = self._moved(db, job_id, State.QUEUED, state=State.CANCELLED, cancel=True)
            if not queued and not self._moved(db, job_id, State.RUNNING, cancel=True):
                raise JobError("job_ended", f"The job is over: {job.state}.")
            self._told(db, "job_cancelled" if queued else "job_cancel_asked", job_id)
        return self.job(tenant_id, job_id)

    def _moved(self, db: sa.Connection, job_id: str, before: State, **values: Any) -> bool:
        wanted = JOB.update().where(JOB.c.job_id == job_id, JOB.c.state == before)
        return db.execute(wanted.values(changed_at=self._instant(), **values)).rowcount == 1

    def _jobs(self, wanted: sa.Select[Any]) -> list[Job]:
        with self._engine.connect() as db:
            return [_job(row) for row in db.execute(wanted).mappings()]

    def _instant(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds")


def _after(job: Job, attempt: Attempt, ended: Ended) -> tuple[State, str]:
    """The job's state once an attempt is over, and why."""
    if ended.outcome is Outcome.SUCCEEDED:
        return State.SUCCEEDED, ""
    if ended.outcome is Outcome.CANCELLED or (ended.outcome is Outcome.INTERRUPTED and job.cancel):
        return State.CANCELLED, ""
    if ended.outcome is Outcome.INTERRUPTED and attempt.number < ATTEMPTS:
        return State.QUEUED, "interrupted"
    return State.FAILED, ended.outcome


def _job(row: Any) -> Job:
    return Job(
        row["job_id"], row["tenant_id"], row["client_id"],
        JobSpec.model_validate_json(row["spec"]), row["code_digest"], State(row["state"]),
        row["reason"], bool(row["cancel"]), row["attempts"], row["submitted_at"],
        row["changed_at"],
    )  # fmt: skip


def _attempt(row: Any) -> Attempt:
    outcome = row["outcome"]
    return Attempt(
        row["attempt_id"], row["job_id"], row["number"], Outcome(outcome) if outcome else None,
        row["exit_code"], row["wall_ms"], row["cpu_ms"], row["peak_memory_bytes"],
        tuple(json.loads(row["dropped"])), row["began_at"], row["ended_at"],
    )  # fmt: skip
