"""Refunds that come after an answer: the receiver hears of them, while its consent still runs.

After every load of the person source the settlements told of are looked at again. Whoever was told
of one that is undone since gets a security event (`refunded`) that names the consent and its own
reference of the settlement, in the transaction that notes it: each receiver hears of it once. What
rules decided about it counts no more in the year of cover, also where the consent has ended since;
then nobody is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.claims.book import Book
from gateway.consent import outbox
from gateway.consent.record import Consent
from gateway.consent.store import changed_rows, consent_of
from gateway.db.claim_tables import ClaimDecisionRow, ClaimSettlementRow
from gateway.db.consent_tables import ConsentRow
from gateway.db.engine import reading, writing
from gateway.errors import SluiceError
from gateway.persons.keeping import PERSON, readable
from gateway.persons.port import PersonSource

EVENT: Final = "refunded"
LOOK_SECONDS: Final = 5.0
_IN_FORCE: Final = ("AUTHORISED", "CONSUMED")
_COUNTING: Final = timedelta(days=731)
"""So long after a decision its year of cover may still run."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refunds:
    """Looks for refunds of what was told, once per load."""

    book: Book
    source: PersonSource
    clock: Callable[[], datetime]

    async def follow(self) -> None:
        """Look again whenever there is a new load, until cancelled."""
        seen, failing = "", False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                load = await self.source.load()
                if load != seen:
                    await self.look()
                    seen = load
                failing = False
            except SluiceError as error:
                if not failing:  # said once: a gateway may do without a person source
                    log.warning("refunds cannot be looked for: %s", error.code)
                failing = True

    async def look(self) -> int:
        """Tell of every refund that is new; returns how many were told."""
        told = 0
        for consent in await asyncio.to_thread(self._open):
            numbers = await self._refunded(consent)
            if numbers:
                told += await asyncio.to_thread(self._tell, consent, numbers)
        return told

    def _open(self) -> Sequence[Consent]:
        """Consents under which a settlement was told that was not refunded then: those in force,
        and those whose decisions count in a year of cover."""
        now = self.clock()
        waiting = sa.select(ClaimSettlementRow.consent_id).where(~ClaimSettlementRow.refunded)
        counting = sa.select(ClaimDecisionRow.consent_id).where(
            ClaimDecisionRow.refunded_at.is_(None), ClaimDecisionRow.decided_at > now - _COUNTING
        )
        in_force = sa.and_(ConsentRow.state.in_(_IN_FORCE), ConsentRow.valid_to > now)
        with reading(self.book.engine) as session:
            rows = session.scalars(
                sa.select(ConsentRow).where(
                    ConsentRow.id.in_(waiting), sa.or_(in_force, ConsentRow.id.in_(counting))
                )
            )
            return [consent_of(row) for row in rows]

    async def _refunded(self, consent: Consent) -> list[str]:
        """Numbers of the person's settlements that are undone."""
        subject, table = str(consent.subject_ref), readable().table("setl_d")
        undone = sa.select(table.c.setl_id).where(
            table.c[PERSON] == subject, table.c.refd_setl_flag == "1"
        )
        found = await self.source.read(subject, {"undone": undone})
        return [str(row["setl_id"]) for row in found.rows["undone"]]

    def _tell(self, consent: Consent, numbers: Sequence[str]) -> int:
        now, told = self.clock(), 0
        runs = consent.valid_to is not None and consent.valid_to > now
        in_force = runs and consent.state in _IN_FORCE
        with writing(self.book.engine) as session:
            for number in numbers:
                noted = (
                    sa.update(ClaimSettlementRow)
                    .where(
                        ClaimSettlementRow.consent_id == consent.id,
                        ClaimSettlementRow.settlement == self.book.hashed("settlement", number),
                        ~ClaimSettlementRow.refunded,
                    )
                    .values(refunded=True)
                )
                if changed_rows(session, noted) != 1:
                    continue
                decision = self._given_back(session, consent, number, now)
                if in_force:
                    more = decision or self._named(consent, number)
                    outbox.put(session, consent, EVENT, now, more)
                    told += 1
        return told

    def _named(self, consent: Consent, number: str) -> Mapping[str, object]:
        reference = self.book.reference(consent.tenant_id, consent.id)
        return {"claim_ref": consent.claim_ref, "setl_ref": reference(number)}

    def _given_back(
        self, session: Session, consent: Consent, number: str, now: datetime
    ) -> Mapping[str, object] | None:
        """Take the settlement out of its year of cover; how the receiver knows the decision, if
        rules made one under this consent."""
        row = session.scalar(
            sa.select(ClaimDecisionRow).where(
                ClaimDecisionRow.consent_id == consent.id,
                ClaimDecisionRow.settlement == self.book.hashed("settlement", number),
                ClaimDecisionRow.refunded_at.is_(None),
            )
        )
        if row is None:
            return None
        row.refunded_at = now
        return {"claim_ref": row.claim_ref, "product": row.product}
