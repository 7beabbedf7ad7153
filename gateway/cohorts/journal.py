"""The query journal: what each consumer was answered, durable and shared by all replicas.

A row is added before its answer leaves. Its number is the next of the consumer's: where another
replica was faster the row is not added, and the question is judged anew beside that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy import exc

from gateway.cohorts.guard import Told
from gateway.cohorts.question import CohortQuestion
from gateway.db.cohort_tables import CohortQuestionRow
from gateway.db.engine import reading, writing
from metering.calendar import month_of


@dataclass(frozen=True)
class Asked:
    """One question that was counted, and which of its cohorts were told; None where it was
    refused for coming too near to others."""

    seq: int
    grant: str
    digest: str
    question: CohortQuestion
    told: Told | None
    month: str


@dataclass(frozen=True)
class Spent:
    """Questions counted under a grant besides the one that is asked: in all, and this month."""

    study: int
    month: int


@dataclass(frozen=True)
class Study:
    """All that was counted for one consumer by one service, in order."""

    tenant: str
    service: str
    asked: tuple[Asked, ...]

    @property
    def next(self) -> int:
        """The number of the next question."""
        return self.asked[-1].seq + 1 if self.asked else 1

    def first(self, digest: str) -> Asked | None:
        """When this question was answered for the first time, under whichever grant."""
        return next((one for one in self.asked if one.digest == digest and one.told), None)

    def counted(self, grant: str, digest: str, *, answered: bool) -> bool:
        """Whether the question is among those of the grant, as an answered one or at all."""
        return any(
            one.grant == grant and one.digest == digest and not (answered and one.told is None)
            for one in self.asked
        )

    def before(self, digest: str) -> Iterator[Asked]:
        """Other questions that were answered, up to the first answer to this one."""
        own = self.first(digest)
        seen = set()
        for one in self.asked:
            mine = one.digest == digest or (own is not None and one.seq > own.seq)
            if one.told is not None and not mine and one.digest not in seen:
                seen.add(one.digest)
                yield one

    def spent(self, grant: str, digest: str, now: datetime) -> Spent:
        """What the grant has used of its questions; each question counts once, refused or not:
        how near two cohorts are is an answer too."""
        others = [one for one in self.asked if one.grant == grant and one.digest != digest]
        running = {one.digest for one in others if one.month == month_of(now)}
        return Spent(len({one.digest for one in others}), len(running))


@dataclass(frozen=True)
class Entry:
    """A question about to be answered, or refused for coming too near to others."""

    grant: str
    question: CohortQuestion
    told: Told | None
    release: str
    request_id: str
    now: datetime


class QueryJournal:
    """The table of answered questions. Blocks: call it in a worker thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def study(self, tenant: str, service: str) -> Study:
        """What a consumer was answered so far."""
        wanted = (
            sa.select(CohortQuestionRow)
            .where(CohortQuestionRow.tenant == tenant, CohortQuestionRow.service == service)
            .order_by(CohortQuestionRow.seq)
        )
        with reading(self._engine) as session:
            return Study(tenant, service, tuple(_asked(session.scalars(wanted).all())))

    def add(self, study: Study, entry: Entry) -> bool:
        """Put a question on record as the next one; False where somebody put another there."""
        row = CohortQuestionRow(
            tenant=study.tenant,
            service=study.service,
            seq=study.next,
            grant_id=entry.grant,
            digest=entry.question.digest,
            question=entry.question.text,
            told=_as_text(entry.told),
            release=entry.release,
            request_id=entry.request_id,
            asked_at=entry.now,
            month=month_of(entry.now),
        )
        try:
            with writing(self._engine) as session:
                session.add(row)
        except exc.IntegrityError:
            return False
        return True


def _as_text(told: Told | None) -> str:
    plain = None if told is None else {"steps": told.steps, "years": told.years}
    return orjson.dumps(plain).decode()


def _asked(rows: Sequence[CohortQuestionRow]) -> Iterator[Asked]:
    for row in rows:
        told = orjson.loads(row.told)
        yield Asked(
            row.seq,
            row.grant_id,
            row.digest,
            CohortQuestion.model_validate_json(row.question),
            None if told is None else Told(tuple(told["steps"]), tuple(told["years"])),
            row.month,
        )
