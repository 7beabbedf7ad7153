"""Refunds that come after an answer: the receiver hears of them, while its consent still runs.

After every load of the person source the settlements told of are looked at again. Whoever was told
of one that is undone since gets a security event (`refunded`) that names the consent and its own
reference of the settlement, in the transaction that notes it: each receiver hears of it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from gateway.claims.book import Book
from gateway.consent import outbox
from gateway.consent.record import Consent
from gateway.consent.store import changed_rows, consent_of
from gateway.db.claim_tables import ClaimSettlementRow
from gateway.db.consent_tables import ConsentRow
from gateway.db.engine import reading, writing
from gateway.errors import SluiceError
from gateway.persons.keeping import PERSON, readable
from gateway.persons.port import PersonSource

EVENT: Final = "refunded"
LOOK_SECONDS: Final = 5.0
_IN_FORCE: Final = ("AUTHORISED", "CONSUMED")

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
        """Consents in force under which a settlement was told that was not refunded then."""
        waiting = sa.select(ClaimSettlementRow.consent_id).where(~ClaimSettlementRow.refunded)
        with reading(self.book.engine) as session:
            rows = session.scalars(
                sa.select(ConsentRow).where(
                    ConsentRow.id.in_(waiting),
                    ConsentRow.state.in_(_IN_FORCE),
                    ConsentRow.valid_to > self.clock(),
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
        reference = self.book.reference(consent.tenant_id, consent.id)
        now, told = self.clock(), 0
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
                if changed_rows(session, noted) == 1:
                    more = {"claim_ref": consent.claim_ref, "setl_ref": reference(number)}
                    outbox.put(session, consent, EVENT, now, more)
                    told += 1
        return told
