"""Runs and what was seen in them, in the operational database.

Deciding on a challenge and noting that it was put are one transaction: of two requests that come at
once only one meets it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing.seal import Sealer
from gateway.conformance.report import contents
from gateway.conformance.seen import Kind, Seen, Trial
from gateway.conformance.trials import Terms, trial
from gateway.conformance.verdicts import Verdict, verdicts
from gateway.db.conformance_tables import ConformanceRunRow, ConformanceSeenRow
from gateway.db.engine import reading, writing
from gateway.errors import NotFound, SluiceError

LIFE: Final = timedelta(hours=1)
MOST_SEEN: Final = 1000
"""Exchanges of a run; a client that needs more is not examined further."""
MOST_KEPT: Final = 20
"""Runs of a client; older ones go when a new one starts."""


class Ended(SluiceError):
    status = 409
    title = "Not possible in the present state"

    def __init__(self) -> None:
        super().__init__(
            "conformance_ended", "This run has ended; start another.", "该测试已结束，请重新开始。"
        )


class Full(SluiceError):
    status = 409
    title = "Not possible in the present state"

    def __init__(self) -> None:
        super().__init__(
            "conformance_full",
            "This run has seen all it can; start another.",
            "该测试的记录已满，请重新开始。",
        )


@dataclass(frozen=True)
class Run:
    """One run, as its client may know it."""

    id: str
    tenant_id: str
    client_id: str
    terms: Terms
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    report: str | None

    def is_live(self, now: datetime) -> bool:
        """Whether its client is still observed."""
        return self.ended_at is None and now < self.expires_at


@dataclass(frozen=True)
class Book:
    """The runs of this sandbox."""

    engine: sa.Engine
    sealer: Sealer
    seconds: Callable[[], float]

    def start(self, owner: tuple[str, str], binding: str, now: datetime) -> Run:
        """Begin a run for a client (`owner`: tenant and client); one that goes on is over."""
        tenant_id, client_id = owner
        states = ("waiting", "rejected", "expired", "revoked")
        row = ConformanceRunRow(
            id=f"cr-{secrets.token_hex(12)}",
            tenant_id=tenant_id,
            client_id=client_id,
            binding=binding,
            consents={state: f"c-{secrets.token_hex(12)}" for state in states},
            started_at=now,
            expires_at=now + LIFE,
            ended_at=None,
            report=None,
        )
        with writing(self.engine) as session:
            own = ConformanceRunRow.client_id == client_id
            going = sa.update(ConformanceRunRow).where(own, ConformanceRunRow.ended_at.is_(None))
            session.execute(going.values(ended_at=now))
            _forget(session, client_id)
            session.add(row)
            session.flush()
            return _run(row)

    def live(self, client_id: str, now: datetime) -> Run | None:
        """The run in which a client is observed now, if there is one."""
        row = ConformanceRunRow
        wanted = sa.select(row).where(
            row.client_id == client_id, row.ended_at.is_(None), row.expires_at > now
        )
        with reading(self.engine) as session:
            found = session.scalars(wanted.order_by(row.started_at.desc())).first()
            return None if found is None else _run(found)

    def find(self, client_id: str, run_id: str) -> Run:
        """One run of a client; another's is as unknown as none."""
        with reading(self.engine) as session:
            row = session.get(ConformanceRunRow, run_id)
            if row is None or row.client_id != client_id:
                raise NotFound("unknown_run", "You have no run of this id.", "没有该测试。")
            return _run(row)

    def listed(self, client_id: str) -> list[Run]:
        """A client's runs, newest first."""
        row = ConformanceRunRow
        wanted = sa.select(row).where(row.client_id == client_id)
        with reading(self.engine) as session:
            return [_run(each) for each in session.scalars(wanted.order_by(row.started_at.desc()))]

    def seen(self, run_id: str) -> list[Seen]:
        """Everything that was seen in a run, in order."""
        with reading(self.engine) as session:
            return _seen(session, run_id)

    def begin(self, run: Run, asked: Seen) -> tuple[int, Trial]:
        """Note a request and decide what it meets; 0 where it is not noted."""
        with writing(self.engine) as session:
            before = _seen(session, run.id)
            if len(before) >= MOST_SEEN:
                return 0, Trial.NONE
            put = trial(before, asked, run.terms)
            told = asked.with_facts(trial=put).document()
            session.add(ConformanceSeenRow(run_id=run.id, seq=len(before) + 1, told=told))
            return len(before) + 1, put

    def finish(self, run: Run, seq: int, seen: Seen) -> None:
        """Note how a request was answered."""
        with writing(self.engine) as session:
            row = session.get(ConformanceSeenRow, (run.id, seq))
            if row is not None:
                row.told = seen.document()

    def say(self, run: Run, item: str, outcome: str, now: datetime) -> None:
        """Note what the client says it did with a file or an event."""
        self.check_live(run, now)
        if not self.note(run, Seen(Kind.SAID, self.seconds(), item=item, body=outcome)):
            raise Full

    def note(self, run: Run, seen: Seen) -> bool:
        """Note something that happened as a whole; whether there was room for it."""
        with writing(self.engine) as session:
            count = len(_seen(session, run.id))
            if count < MOST_SEEN:
                session.add(ConformanceSeenRow(run_id=run.id, seq=count + 1, told=seen.document()))
        return count < MOST_SEEN

    def verdicts(self, run: Run) -> list[Verdict]:
        """What the run shows so far."""
        return verdicts(self.seen(run.id), run.terms)

    def end(self, run: Run, facts: dict[str, object], now: datetime) -> str:
        """End a run and sign its report; `facts` say whose client it is."""
        self.check_live(run, now)
        about = {**facts, "run": run.id, "started_at": run.started_at.isoformat()}
        report = self.sealer.seal(contents(about, self.verdicts(run), now))
        with writing(self.engine) as session:
            row = session.get(ConformanceRunRow, run.id)
            if row is None or row.ended_at is not None:
                raise Ended
            row.ended_at, row.report = now, report
        return report

    @staticmethod
    def check_live(run: Run, now: datetime) -> None:
        """Raises `Ended` where the run is over."""
        if not run.is_live(now):
            raise Ended


def _forget(session: Session, client_id: str) -> None:
    """Make room: all but the newest runs of a client go, with what was seen in them."""
    row = ConformanceRunRow
    ids = sa.select(row.id).where(row.client_id == client_id).order_by(row.started_at.desc())
    old = list(session.scalars(ids.offset(MOST_KEPT - 1)))
    seen = ConformanceSeenRow
    session.execute(sa.delete(seen).where(seen.run_id.in_(old)))
    session.execute(sa.delete(row).where(row.id.in_(old)))


def _seen(session: Session, run_id: str) -> list[Seen]:
    row = ConformanceSeenRow
    told = sa.select(row.told).where(row.run_id == run_id).order_by(row.seq)
    return [Seen.of(each) for each in session.scalars(told)]


def _run(row: ConformanceRunRow) -> Run:
    return Run(
        row.id,
        row.tenant_id,
        row.client_id,
        Terms(row.binding, row.consents),
        row.started_at,
        row.expires_at,
        row.ended_at,
        row.report,
    )
