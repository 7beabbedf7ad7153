"""What is known of every job, in the operational database: each change is one transaction.

A job goes queued → running → succeeded | failed | cancelled, each step only from the state before
it, so two controllers cannot both take it. A validation run is proposed first and reaches the queue
by two people's word (`sandbox.jobs.airlock`). An attempt is written down before it is started: a
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
from sandbox.jobs.tables import ATTEMPT, JOB, OUTPUT, REVIEW

ATTEMPTS = 3
"""How often a job is begun that the machine, not the job, broke off."""


class State(StrEnum):
    """Where a job stands."""

    PROPOSED = "proposed"
    CHECKED = "checked"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DECLINED = "declined"


UNFINISHED = (State.PROPOSED, State.CHECKED, State.QUEUED, State.RUNNING)


class Kind(StrEnum):
    """What a job's inputs are: synthetic packs, or the bureau's de-identified views."""

    SANDBOX = "sandbox"
    VALIDATION = "validation"


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
    kind: Kind
    origin: str | None
    """The job of the sandbox that a validation run repeats."""
    spec: JobSpec
    code_digest: str
    state: State
    reason: str
    cancel: bool
    attempts: int
    checked_by: str | None
    approved_by: str | None
    submitted_at: str
    changed_at: str


@dataclass(frozen=True)
class Wish:
    """What is asked to be run: `key` tells a repeated request from a new one."""

    spec: JobSpec
    code_digest: str
    origin: str | None = None
    key: str | None = None

    @property
    def kind(self) -> Kind:
        """A job that repeats another on the views is a validation run."""
        return Kind.VALIDATION if self.origin else Kind.SANDBOX


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

    def submit(self, tenant_id: str, client_id: str, wish: Wish, most_open: int) -> Job:
        """Queue a job, or propose a validation run; the same request again is the same job.

        Raises:
            JobError: `jobs_in_flight` with `most_open` of the tenant unfinished; `job_key_reused`
                where another request came under this key.
        """
        before = self._under_key(tenant_id, client_id, wish)
        if before is not None:
            return before
        at = self._instant()
        first = State.PROPOSED if wish.origin else State.QUEUED
        row = {
            "job_id": secrets.token_hex(12), "tenant_id": tenant_id, "client_id": client_id,
            "kind": wish.kind, "origin": wish.origin, "request_key": wish.key,
            "spec": wish.spec.model_dump_json(), "spec_digest": wish.spec.digest(),
            "code_digest": wish.code_digest, "state": first, "reason": "", "cancel": False,
            "attempts": 0, "checked_by": None, "approved_by": None,
            "submitted_at": at, "changed_at": at,
        }  # fmt: skip
        try:
            with self._writes.begin() as db:
                self._add(db, row, most_open)
        except sa.exc.IntegrityError:  # the same key came twice at once
            again = self._under_key(tenant_id, client_id, wish)
            if again is None:
                raise
            return again
        return _job(row)

    def _add(self, db: sa.Connection, row: dict[str, Any], most_open: int) -> None:
        mine = sa.select(JOB.c.job_id).where(
            JOB.c.tenant_id == row["tenant_id"], JOB.c.state.in_(UNFINISHED)
        )
        db.execute(JOB.insert().values(row))  # first, so that two at once count each other
        flying = [each for each in db.scalars(mine) if each != row["job_id"]]
        if len(flying) >= most_open:
            raise JobError("jobs_in_flight", f"{len(flying)} jobs are not finished: {flying}.")
        self._told(db, f"job_{'proposed' if row['origin'] else 'submitted'}", str(row["job_id"]))

    def _under_key(self, tenant_id: str, client_id: str, wish: Wish) -> Job | None:
        if wish.key is None:
            return None
        mine = (JOB.c.tenant_id == tenant_id, JOB.c.client_id == client_id)
        found = self._jobs(sa.select(JOB).where(*mine, JOB.c.request_key == wish.key))
        for job in found:
            if (job.spec, job.code_digest, job.origin) != (
                wish.spec, wish.code_digest, wish.origin,
            ):  # fmt: skip
                raise JobError("job_key_reused", "Another request came under this Idempotency-Key.")
            return job
        return None

    def job(self, tenant_id: str, job_id: str) -> Job:
        """One job of the tenant; JobError `no_such_job`, also for another's."""
        found = self.any_job(job_id)
        if found.tenant_id != tenant_id:
            raise JobError("no_such_job", "You have no job of this id.")
        return found

    def any_job(self, job_id: str) -> Job:
        """One job, for the bureau's own people; JobError `no_such_job`."""
        for found in self._jobs(sa.select(JOB).where(JOB.c.job_id == job_id)):
            return found
        raise JobError("no_such_job", "You have no job of this id.")

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

    def ended_before(self, at: datetime, kind: Kind) -> list[str]:
        """Jobs of a kind that were over before that moment and left something."""
        left = sa.select(OUTPUT.c.job_id).distinct()
        wanted = sa.select(JOB.c.job_id).where(
            JOB.c.kind == kind,
            JOB.c.state.not_in(UNFINISHED),
            JOB.c.changed_at < at.astimezone(UTC).isoformat(timespec="milliseconds"),
            JOB.c.job_id.in_(left),
        )
        with self._engine.connect() as db:
            return list(db.scalars(wanted))

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
                if job.kind is Kind.VALIDATION:
                    await_review(db, job.job_id, [row["name"] for row in rows], self._instant())
            self._told(db, f"job_attempt_{ended.outcome}", job.job_id)

    def cancel(self, tenant_id: str, job_id: str) -> Job:
        """Ask for the end of a job: a queued one ends now; JobError `job_ended` if it is over."""
        self.job(tenant_id, job_id)
        with self._writes.begin() as db:
            waiting = (State.PROPOSED, State.CHECKED, State.QUEUED)
            queued = any(
                self._moved(db, job_id, state, state=State.CANCELLED, cancel=True)
                for state in waiting
            )
            if not queued and not self._moved(db, job_id, State.RUNNING, cancel=True):
                raise JobError("job_ended", "The job is over.")
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


def await_review(db: sa.Connection, job_id: str, names: Iterable[str], at: str) -> None:
    """What a validation run left waits for its reviewers."""
    row = {"state": "waiting", "passed_by": None, "decided_by": None, "comment": ""}
    rows = [{"job_id": job_id, "name": name, **row, "changed_at": at} for name in names]
    db.execute(REVIEW.insert(), rows)


def _job(row: Any) -> Job:
    return Job(
        row["job_id"], row["tenant_id"], row["client_id"], Kind(row["kind"]), row["origin"],
        JobSpec.model_validate_json(row["spec"]), row["code_digest"], State(row["state"]),
        row["reason"], bool(row["cancel"]), row["attempts"], row["checked_by"],
        row["approved_by"], row["submitted_at"], row["changed_at"],
    )  # fmt: skip


def _attempt(row: Any) -> Attempt:
    outcome = row["outcome"]
    return Attempt(
        row["attempt_id"], row["job_id"], row["number"], Outcome(outcome) if outcome else None,
        row["exit_code"], row["wall_ms"], row["cpu_ms"], row["peak_memory_bytes"],
        tuple(json.loads(row["dropped"])), row["began_at"], row["ended_at"],
    )  # fmt: skip
