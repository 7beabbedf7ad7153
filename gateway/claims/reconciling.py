"""Reconciliation of decisions: what rules decided on a day against what the insurer settled.

As the hospitals' 3201: number and sum by insurer and day, then claim by claim. A claim is the
product and the insurer's own number; several settlements under one number are one sum. A decision
counts on its day whatever was refunded later (the insurer hears of refunds by events).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.claim_tables import ClaimDecisionRow, ClaimSettledRow
from gateway.db.engine import reading, writing
from metering.calendar import CHINA

EQUAL: Final = "000000"
DIFFERENT: Final = "000103"
MISSING: Final = "000102"
Claim: TypeAlias = tuple[str, str]
"""Product, and the insurer's number of the claim."""
Sums: TypeAlias = Mapping[Claim, int]  # payable, in fen


@dataclass(frozen=True, slots=True)
class Compared:
    """One insurer's day; sums in fen. `claims` has a code for every claim of either side."""

    tenant: str
    day: date
    decided: int
    payable_fen: int
    sent: int
    sent_fen: int
    claims: Mapping[Claim, str]

    @property
    def counted(self) -> Counter[str]:
        """How many claims have each code."""
        return Counter(self.claims.values())

    @property
    def code(self) -> str:
        """Equal only if every claim is; missing before different."""
        return max(self.claims.values(), key=_GRAVITY.__getitem__, default=EQUAL)


_GRAVITY: Final = {EQUAL: 0, DIFFERENT: 1, MISSING: 2}


def compare(decided: Sums, sent: Sums) -> dict[Claim, str]:
    """A code for each claim that was decided or sent."""
    return {
        claim: MISSING
        if claim not in decided or claim not in sent
        else (EQUAL if decided[claim] == sent[claim] else DIFFERENT)
        for claim in sorted({*decided, *sent})
    }


@dataclass(frozen=True)
class Reconciliation:
    """Reads decisions, keeps what insurers send."""

    engine: sa.Engine

    def send(self, tenant: str, day: date, claims: Sums, now: datetime) -> Compared:
        """Keep what an insurer settled of a day, in place of what it sent of the same claims
        before, and compare all it sent of that day."""
        with writing(self.engine) as session:
            for (product, claim_ref), fen in claims.items():
                session.merge(
                    ClaimSettledRow(
                        tenant_id=tenant,
                        day=day,
                        product=product,
                        claim_ref=claim_ref,
                        payable_fen=fen,
                        sent_at=now,
                    )
                )
            session.flush()
            (found,) = _compared(session, day, [tenant])
            return found

    def of_day(self, day: date) -> tuple[Compared, ...]:
        """Every insurer that had decisions on that day or sent something of it."""
        with reading(self.engine) as session:
            return tuple(_compared(session, day, None))


def _compared(session: Session, day: date, tenants: list[str] | None) -> Iterable[Compared]:
    decided, counted = _decided(session, day)
    sent: dict[str, dict[Claim, int]] = defaultdict(dict)
    rows = session.scalars(sa.select(ClaimSettledRow).where(ClaimSettledRow.day == day))
    for row in rows:
        sent[row.tenant_id][row.product, row.claim_ref] = row.payable_fen
    for tenant in tenants or sorted({*decided, *sent}):
        own, theirs = decided.get(tenant, {}), sent.get(tenant, {})
        yield Compared(
            tenant,
            day,
            counted[tenant],
            sum(own.values()),
            len(theirs),
            sum(theirs.values()),
            compare(own, theirs),
        )


def _decided(session: Session, day: date) -> tuple[dict[str, dict[Claim, int]], Counter[str]]:
    """Sums by tenant and claim, and the number of decisions by tenant."""
    begins = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    rows = session.scalars(
        sa.select(ClaimDecisionRow).where(
            ClaimDecisionRow.decided_at >= begins,
            ClaimDecisionRow.decided_at < begins + timedelta(days=1),
        )
    )
    found: dict[str, dict[Claim, int]] = defaultdict(lambda: defaultdict(int))
    counted: Counter[str] = Counter()
    for row in rows:
        found[row.tenant_id][row.product, row.claim_ref] += row.payable_fen
        counted[row.tenant_id] += 1
    return found, counted
