"""What a developer is told of a job.

Of a validation run little: its log, exit code, usage and the moment of its end could each carry
rows out, so until its outputs are decided it is in the domain, and that it failed is told only when
its time would have been over anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sandbox.jobs.airlock import RELEASED, Review
from sandbox.jobs.book import ATTEMPTS, Attempt, Job, Output, State

Json: TypeAlias = dict[str, Any]  # a JSON object
IN_DOMAIN: Final = "in_domain"
DECIDED: Final = "decided"


def brief(job: Job) -> Json:
    """One line of a list of jobs."""
    return {
        "job_id": job.job_id,
        "name": job.spec.name,
        "state": job.state,
        "reason": job.reason,
        "submitted_at": job.submitted_at,
        "changed_at": job.changed_at,
    }


def whole(job: Job, attempts: Sequence[Attempt], outputs: Sequence[Output]) -> Json:
    """A job of the sandbox with everything about it: its data are nobody's."""
    return {
        **brief(job),
        "spec": job.spec.model_dump(mode="json"),
        "code_digest": job.code_digest,
        "attempts": [
            {
                "number": one.number, "outcome": one.outcome, "exit_code": one.exit_code,
                "wall_ms": one.wall_ms, "cpu_ms": one.cpu_ms,
                "peak_memory_bytes": one.peak_memory_bytes, "dropped": list(one.dropped),
                "began_at": one.began_at, "ended_at": one.ended_at,
            }
            for one in attempts
        ],
        "outputs": [vars(one) for one in outputs],
    }  # fmt: skip


def validation(
    job: Job, reviews: Sequence[Review], outputs: Sequence[Output], now: datetime
) -> Json:
    """A validation run: how far it is, and of each output what the reviewers said."""
    sizes = {one.name: one for one in outputs}
    decided = bool(reviews) and all(one.decided for one in reviews)
    state = DECIDED if decided else _shown(job, now)
    return {
        "validation_id": job.job_id,
        "job_id": job.origin,
        "name": job.spec.name,
        "state": state,
        "reason": job.reason if job.state is State.DECLINED else "",
        "submitted_at": job.submitted_at,
        "outputs": [_output(one, sizes[one.name]) for one in reviews] if decided else [],
    }


def _shown(job: Job, now: datetime) -> str:
    if job.state in {State.PROPOSED, State.CHECKED}:
        return State.PROPOSED
    if job.state in {State.DECLINED, State.CANCELLED}:
        return job.state
    longest = timedelta(seconds=job.spec.limits.wall_seconds) * ATTEMPTS
    over = now >= datetime.fromisoformat(job.submitted_at) + longest
    return State.FAILED if job.state is State.FAILED and over else IN_DOMAIN


def _output(review: Review, output: Output) -> Json:
    told: Json = {"name": review.name, "state": review.state, "comment": review.comment}
    return told | (
        {"size": output.size, "sha256": output.sha256} if review.state == RELEASED else {}
    )
