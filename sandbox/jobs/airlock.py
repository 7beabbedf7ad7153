"""The bureau's word on validation runs and on what they leave: always two people's.

A proposed run is checked by one officer and approved by another before it is queued. An output of
it is passed by one reviewer and released by another; either may refuse it. Each function is one
step within the caller's transaction, and only from the state before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from sandbox.jobs.book import JobError, State
from sandbox.jobs.tables import JOB, REVIEW

WAITING: Final = "waiting"
PASSED: Final = "passed"
RELEASED: Final = "released"
REFUSED: Final = "refused"


@dataclass(frozen=True)
class Review:
    """Where one output of a validation run stands."""

    job_id: str
    name: str
    state: str
    passed_by: str | None
    decided_by: str | None
    comment: str
    changed_at: str

    @property
    def decided(self) -> bool:
        """Whether the reviewers have said the last word."""
        return self.state in {RELEASED, REFUSED}


@dataclass(frozen=True)
class Word:
    """Who says it, when, and why."""

    who: str
    at: datetime
    why: str = ""

    @property
    def instant(self) -> str:
        """The time as it is kept: ISO 8601 in UTC."""
        return self.at.astimezone(UTC).isoformat(timespec="milliseconds")


def proposals(db: sa.Connection) -> list[str]:
    """Jobs that wait for an officer, the oldest first."""
    waiting = JOB.c.state.in_((State.PROPOSED, State.CHECKED))
    return list(db.scalars(sa.select(JOB.c.job_id).where(waiting).order_by(JOB.c.submitted_at)))


def check(db: sa.Connection, job_id: str, word: Word) -> None:
    """The first officer finds a proposed run in order."""
    _job_moved(db, job_id, State.PROPOSED, word, state=State.CHECKED, checked_by=word.who)


def approve(db: sa.Connection, job_id: str, word: Word) -> None:
    """Another officer lets it run; JobError `same_approver` for the first."""
    checked = sa.select(JOB.c.checked_by).where(JOB.c.job_id == job_id)
    if db.scalar(checked) == word.who:
        raise JobError("same_approver", "Whoever checked the run does not approve it.")
    _job_moved(db, job_id, State.CHECKED, word, state=State.QUEUED, approved_by=word.who)


def decline(db: sa.Connection, job_id: str, word: Word) -> None:
    """An officer says no; the reason is told to whoever proposed it."""
    step = {"state": State.DECLINED, "reason": word.why}
    try:
        _job_moved(db, job_id, State.PROPOSED, word, **step)
    except JobError:
        _job_moved(db, job_id, State.CHECKED, word, **step)


def reviews(db: sa.Connection, job_id: str) -> list[Review]:
    """The outputs of a run and where they stand, by name."""
    return list(_read(db, REVIEW.c.job_id == job_id))


def undecided(db: sa.Connection) -> list[Review]:
    """All outputs that wait for a reviewer, the oldest first."""
    return list(_read(db, REVIEW.c.state.in_((WAITING, PASSED))))


def review(db: sa.Connection, job_id: str, name: str) -> Review:
    """One output; JobError `no_such_output`."""
    for found in _read(db, sa.and_(REVIEW.c.job_id == job_id, REVIEW.c.name == name)):
        return found
    raise JobError("no_such_output", "There is no output of this name under review.")


def pass_on(db: sa.Connection, job_id: str, name: str, word: Word, *, stopped: bool) -> None:
    """The first reviewer lets an output pass; JobError `stopped` where a check stops it."""
    review(db, job_id, name)
    if stopped:
        raise JobError("stopped", "An automated check stops this output: it can only be refused.")
    step = {"state": PASSED, "passed_by": word.who, "comment": word.why}
    _review_moved(db, (job_id, name), (WAITING,), word, **step)


def release(db: sa.Connection, job_id: str, name: str, word: Word, *, stopped: bool) -> None:
    """Another reviewer lets it out; JobError `same_approver` for the first, `stopped`."""
    if stopped:
        raise JobError("stopped", "An automated check stops this output: it can only be refused.")
    if review(db, job_id, name).passed_by == word.who:
        raise JobError("same_approver", "Whoever passed the output does not release it.")
    step = {"state": RELEASED, "decided_by": word.who, "comment": word.why}
    _review_moved(db, (job_id, name), (PASSED,), word, **step)


def refuse(db: sa.Connection, job_id: str, name: str, word: Word) -> None:
    """A reviewer keeps an output in; the reason is told to its developer."""
    review(db, job_id, name)
    step = {"state": REFUSED, "decided_by": word.who, "comment": word.why}
    _review_moved(db, (job_id, name), (WAITING, PASSED), word, **step)


def _job_moved(db: sa.Connection, job_id: str, before: State, word: Word, **values: Any) -> None:
    here = sa.and_(JOB.c.job_id == job_id, JOB.c.state == before)
    if db.execute(JOB.update().where(here).values(changed_at=word.instant, **values)).rowcount != 1:
        raise JobError("state", f"There is no run of this id that is {before}.")


def _review_moved(
    db: sa.Connection, key: tuple[str, str], before: tuple[str, ...], word: Word, **values: Any
) -> None:
    here = sa.and_(REVIEW.c.job_id == key[0], REVIEW.c.name == key[1], REVIEW.c.state.in_(before))
    step = REVIEW.update().where(here).values(changed_at=word.instant, **values)
    if db.execute(step).rowcount != 1:
        raise JobError("state", f"The output is not {' or '.join(before)}.")


def _read(db: sa.Connection, where: sa.ColumnElement[bool]) -> Iterator[Review]:
    wanted = sa.select(REVIEW).where(where).order_by(REVIEW.c.changed_at, REVIEW.c.name)
    for row in db.execute(wanted).mappings():
        yield Review(**row)
