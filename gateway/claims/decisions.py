"""Decisions about claims by insurers' rules, each given once: what is kept, and what bounds it.

A tenant's product gets one answer about a settlement, whatever version asks again: several would
add up to more than one may tell. The use of the consent, the answer and the sums of the year of
cover become durable together; the sums are those of the year's answers that were not refunded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import ceil, log2
from typing import ClassVar, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.adjudication.capacity import bits
from gateway.adjudication.claim import Outcome
from gateway.adjudication.likeness import likeness
from gateway.adjudication.model import RulePackage
from gateway.adjudication.terms import Terms
from gateway.claims.adjudicating import (
    UNDECIDED,
    claim_of,
    decided,
    settled_on,
    settlement_of,
    told,
)
from gateway.claims.asking import Adjudication
from gateway.claims.book import Book, Noted
from gateway.claims.telling import Said
from gateway.db.claim_tables import ClaimDecisionRow
from gateway.db.engine import reading, writing
from gateway.errors import SluiceError
from gateway.persons.port import Row, Rows
from gateway.policy.packing import BundleKey
from gateway.rules.signed import read_kept
from gateway.rules.submission import Submission
from gateway.rules.submissions import in_force, read_submission, read_submissions

_MILLI: Final = 1000


class Probing(SluiceError):
    """One more answer could tell more than one answer may."""

    status: ClassVar[int] = 409
    title: ClassVar[str] = "Not decided by this product"


@dataclass(frozen=True)
class Put:
    """A claim put to the rules: the question, what was read, and the fields that may leave; repr
    shows nothing of it."""

    tenant: str
    subject: str
    ask: Adjudication
    rows: Mapping[str, Rows]
    born: date | None
    masks: Mapping[str, str]

    def __repr__(self) -> str:
        return "Put(…)"

    @property
    def settled(self) -> Row | None:
        """The settlement; none of a person whose birthday is not known."""
        return None if self.born is None else settlement_of(self.rows)


@dataclass(frozen=True)
class Decisions:
    """Decides by the packages in force; `key` opens their seals."""

    book: Book
    key: BundleKey
    terms: Callable[[], Terms]

    def offers(self, tenant: str, product: str) -> bool:
        """Whether any version of the product may decide, whoever is asked about."""
        with reading(self.book.engine) as session:
            own = read_submissions(session, self.key, tenant, product)
        return any(one.state == "approved" for one in own)

    def said(self, put: Put) -> Said:
        """What is answered under a key that was answered before: nothing is kept or counted."""
        with reading(self.book.engine) as session:
            kept = self._kept(session, put)
            if kept is not None:
                return _again(kept)
            return self._outcome(session, put)[0]

    def decide(self, put: Put, noted: Noted) -> Said:
        """Decide for good and count the use, in one transaction that has the write lock from its
        start; the kept answer where there is one. Raises `NoUse` and `Probing`."""
        with writing(self.book.engine) as session:
            kept = self._kept(session, put)
            if kept is not None:
                return _again(kept)
            said, outcome, chosen = self._outcome(session, put)
            if chosen is not None:
                self._check(session, put, noted, chosen)
            counted = replace(
                noted,
                settlements=said.settlements,
                refunded=said.refunded,
                amount_fen=said.amount_fen,
            )
            self.book.enter(session, counted)
            if chosen is not None:
                row = self._row(put, counted, said, outcome, chosen)
                row.bits_milli = self._telling(session, put, read_kept(chosen.signed))
                session.add(row)
            return said

    def _subject(self, put: Put) -> str:
        return self.book.hashed("subject", put.subject)

    def _settlement(self, put: Put) -> str | None:
        settled = put.settled
        return None if settled is None else self.book.hashed("settlement", settled["setl_id"])

    def _kept(self, session: Session, put: Put) -> ClaimDecisionRow | None:
        return session.scalar(
            sa.select(ClaimDecisionRow).where(
                ClaimDecisionRow.tenant_id == put.tenant,
                ClaimDecisionRow.settlement == self._settlement(put),
                ClaimDecisionRow.product == put.ask.product,
            )
        )

    def _outcome(self, session: Session, put: Put) -> tuple[Said, Outcome, Submission | None]:
        """The answer, and the version that gave it; none where it is left to people."""
        settled, ask, chosen = put.settled, put.ask, None
        if settled is not None:
            day = settled_on(settled)
            chosen = in_force(session, self.key, put.tenant, ask.product, day)
        if settled is None or chosen is None or put.born is None:
            return Said(told(ask.claim_ref, UNDECIDED, put.masks)), UNDECIDED, None
        refunded = settled["refd_setl_flag"] == "1"
        outcome = decided(
            read_kept(chosen.signed),
            claim_of(ask, put.rows, settled, put.born),
            self._used(session, put),
            self.terms().bounds.reasons_max,
            refunded=refunded,
        )
        number = str(settled["setl_id"])
        said = Said(
            told(ask.claim_ref, outcome, put.masks),
            settlements=(number,),
            refunded=frozenset({number} if refunded else ()),
            amount_fen=outcome.payable,
        )
        return said, outcome, chosen

    def _used(self, session: Session, put: Put) -> Mapping[str, int]:
        """What each layer counted before in the year of cover, in fen."""
        rows = session.scalars(
            sa.select(ClaimDecisionRow.eligible).where(
                ClaimDecisionRow.tenant_id == put.tenant,
                ClaimDecisionRow.subject == self._subject(put),
                ClaimDecisionRow.product == put.ask.product,
                ClaimDecisionRow.policy_from == put.ask.policy.start,
                ClaimDecisionRow.refunded_at.is_(None),
            )
        )
        used: Counter[str] = Counter()
        for text in rows:
            used.update(orjson.loads(text))
        return used

    def _check(self, session: Session, put: Put, noted: Noted, chosen: Submission) -> None:
        """One product a consent, no near duplicate for the same person, and together no more bits
        about one settlement than one package may tell."""
        others = session.scalars(
            sa.select(ClaimDecisionRow).where(
                ClaimDecisionRow.tenant_id == put.tenant,
                ClaimDecisionRow.subject == self._subject(put),
                ClaimDecisionRow.product != put.ask.product,
            )
        ).all()
        if any(one.consent_id == noted.consent_id for one in others):
            raise Probing("adjudication_other_product", "")
        terms, package = self.terms(), read_kept(chosen.signed)
        number = self._settlement(put)
        spent = sum(one.bits_milli for one in others if one.settlement == number)
        if spent + self._telling(session, put, package) > terms.bounds.bits * _MILLI:
            raise Probing("adjudication_bits_spent", "")
        for other in self._packages(session, others):
            if likeness(package, other) > terms.bounds.likeness_max:
                raise Probing("adjudication_near_duplicate", "")

    def _telling(self, session: Session, put: Put, package: RulePackage) -> int:
        """What the answer could tell beside its amounts, in thousandths of a bit, rounded up: the
        coded outcomes, and which of the product's versions decided, for that tells the day."""
        own = read_submissions(session, self.key, put.tenant, put.ask.product)
        versions = sum(one.state == "approved" for one in own)
        told = bits(package, self.terms().bounds.reasons_max) + log2(max(1, versions))
        return ceil(told * _MILLI)

    def _packages(
        self, session: Session, rows: Sequence[ClaimDecisionRow]
    ) -> tuple[RulePackage, ...]:
        """The packages that decided, withdrawn ones too."""
        names = sorted({one.package_id for one in rows})
        return tuple(read_kept(read_submission(session, self.key, n).signed) for n in names)

    def _row(
        self, put: Put, noted: Noted, said: Said, outcome: Outcome, chosen: Submission
    ) -> ClaimDecisionRow:
        return ClaimDecisionRow(
            event_id=noted.event_id,
            tenant_id=put.tenant,
            product=put.ask.product,
            settlement=self._settlement(put),
            subject=self._subject(put),
            consent_id=noted.consent_id,
            package_id=chosen.id,
            claim_ref=put.ask.claim_ref,
            policy_from=put.ask.policy.start,
            told=orjson.dumps(said.data).decode(),
            eligible=orjson.dumps(dict(outcome.eligible)).decode(),
            payable_fen=outcome.payable,
            decided_at=noted.at,
            refunded_at=noted.at if said.refunded else None,
        )


def _again(kept: ClaimDecisionRow) -> Said:
    """The answer as it was first given."""
    return Said(orjson.loads(kept.told), repeats=kept.event_id)
