"""What the operational database keeps of claims: refusals, answers, settlements told of.

Persons stand in it by keyed hashes of their own; a use of a consent is counted in the transaction
that notes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent import changes
from gateway.consent.subjects import Subjects
from gateway.consent.tokens import ConsentView, for_token
from gateway.db.claim_tables import ClaimAnswerRow, ClaimMissRow, ClaimSettlementRow
from gateway.db.engine import reading, writing
from gateway.errors import SluiceError
from metering.calendar import day_begins

MISSES, LOCK = 5, timedelta(hours=1)
"""So many refusals of one client about one person within so long lock the pair for as long."""


class NoUse(SluiceError):
    """The consent could not be used any more: it ended between the decision and here."""

    status = 403


@dataclass(frozen=True)
class Asker:
    """The client that asks, and its organisation."""

    tenant: str
    client: str


@dataclass(frozen=True)
class Standing:
    """How things stand for a question, read at one moment."""

    consent: ConsentView | None
    locked: bool
    persons_day: int  # others asked about under the grant today
    calls_today: int  # about this person under the grant


@dataclass(frozen=True)
class Noted:
    """An answer as the database keeps it."""

    event_id: str
    tenant_id: str
    grant_id: str
    service: str
    consent_id: str
    subject: str
    at: datetime
    settlements: tuple[str, ...]
    refunded: frozenset[str]  # those of them that were told of as refunded
    amount_fen: int


@dataclass(frozen=True)
class Book:
    """Reads and writes of one process."""

    engine: sa.Engine
    subjects: Subjects

    def hashed(self, purpose: str, text: str) -> str:
        """A keyed hash that names nobody outside this database."""
        return self.subjects.mac(f"claim-{purpose}", text)

    def standing(
        self, consent_id: str, asker: Asker, grant: str, subject: str, now: datetime
    ) -> Standing:
        """Consent, lock and counts; the same reads whoever is asked about."""
        whom, client = self.hashed("subject", subject), asker.client
        with reading(self.engine) as session:
            misses = session.scalar(
                sa.select(sa.func.count()).where(
                    ClaimMissRow.client_id == client,
                    ClaimMissRow.subject == whom,
                    ClaimMissRow.at > now - LOCK,
                )
            )
            today = (ClaimAnswerRow.grant_id == grant, ClaimAnswerRow.at >= day_begins(now))
            own = session.scalar(
                sa.select(sa.func.count()).where(*today, ClaimAnswerRow.subject == whom)
            )
            others = session.scalar(
                sa.select(sa.func.count(sa.distinct(ClaimAnswerRow.subject))).where(
                    *today, ClaimAnswerRow.subject != whom
                )
            )
            consent = for_token(session, consent_id, asker.tenant, now)
        return Standing(consent, (misses or 0) >= MISSES, others or 0, own or 0)

    def miss(
        self, event_id: str, client: str, subject: str, now: datetime, *, counts: bool = True
    ) -> None:
        """Note that a client was refused about a person. One that does not count is written all
        the same, under another hash: a refusal for one reason costs what it does for another."""
        whom = self.hashed("subject" if counts else "awaited", subject)
        with writing(self.engine) as session:
            session.add(ClaimMissRow(event_id=event_id, client_id=client, subject=whom, at=now))
            session.execute(sa.delete(ClaimMissRow).where(ClaimMissRow.at < now - 2 * LOCK))

    def use(self, noted: Noted, *, missed_by: str | None) -> None:
        """Count one use of the consent and note the answer; raises `NoUse` where none is left."""
        with writing(self.engine) as session:
            self.enter(session, noted)
            if missed_by is not None:
                whom = self.hashed("subject", noted.subject)
                row = ClaimMissRow(
                    event_id=noted.event_id, client_id=missed_by, subject=whom, at=noted.at
                )
                session.add(row)

    def enter(self, session: Session, noted: Noted) -> None:
        """The use and the note of its answer, in the caller's transaction; raises `NoUse`."""
        try:
            changes.use(session, noted.consent_id, noted.tenant_id, noted.at)
        except SluiceError as error:
            raise NoUse("no_use", "") from error
        session.add(
            ClaimAnswerRow(
                event_id=noted.event_id,
                tenant_id=noted.tenant_id,
                grant_id=noted.grant_id,
                service=noted.service,
                consent_id=noted.consent_id,
                subject=self.hashed("subject", noted.subject),
                at=noted.at,
                settlements=len(noted.settlements),
                amount_fen=noted.amount_fen,
            )
        )
        self._tell(session, noted)

    def _tell(self, session: Session, noted: Noted) -> None:
        for number in noted.settlements:
            session.merge(
                ClaimSettlementRow(
                    consent_id=noted.consent_id,
                    settlement=self.hashed("settlement", number),
                    tenant_id=noted.tenant_id,
                    told_at=noted.at,
                    refunded=number in noted.refunded,
                )
            )

    def claimed_elsewhere(self, numbers: Iterable[str], tenant: str) -> bool:
        """Whether another organisation was told of one of these settlements."""
        hashes = [self.hashed("settlement", number) for number in numbers]
        with reading(self.engine) as session:
            found = sa.select(ClaimSettlementRow.tenant_id).where(
                ClaimSettlementRow.settlement.in_(hashes), ClaimSettlementRow.tenant_id != tenant
            )
            return session.scalars(found.limit(1)).first() is not None

    def reference(self, tenant: str, consent: str) -> Callable[[str], str]:
        """References of settlements that only this receiver can use for this consent."""
        return lambda number: f"s{self.hashed('reference', f'{tenant} {consent} {number}')[:32]}"
