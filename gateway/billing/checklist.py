"""What stands in the way of closing a month: everything that is not counted, agreed and explained.

Each finding is one sentence. A month is closed when there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa

from gateway.audit.reconcile import Reconciliation, reconcile
from gateway.audit.verify import verify
from gateway.billing import books
from gateway.billing.former import named_heads
from gateway.billing.office import Office
from gateway.billing.truth import Month, months_used
from gateway.billing.watermark import LATENESS
from gateway.db.billing_tables import BillingMonthRow
from gateway.db.engine import reading
from metering.calendar import month_after, month_range
from metering.identities import differences


def checklist(
    office: Office, month: str, now: datetime, found: Reconciliation | None = None
) -> Iterator[str]:
    """What stands in the way of closing a month; nothing, where it may be closed. `found`: what
    reconciling the journals came to, where that is known already."""
    ends = month_range(month)[1] + timedelta(days=office.terms.grace_days)
    if now < ends:
        yield f"{month} may be closed from {ends.date()} on"
    yield from _order(office, month)
    yield from _books(office)
    yield from _arrived(office, month, now)
    yield from office.hindrances()
    yield from _kept(office)
    yield from _metering(office, month, found or reconcile(office.events, office.prices.charged_by))
    yield from (
        f"audit: {finding.code} at event {finding.first}"
        for file in office.events.files()
        for finding in verify(file, office.audit_key).findings
    )


def _order(office: Office, month: str) -> Iterator[str]:
    """Months are closed one after the other: what is booked late needs an open month after it."""
    with reading(office.engine) as session:
        closed = sorted(session.scalars(sa.select(BillingMonthRow.month)))
    if month in closed:
        yield f"{month} is closed already"
    elif closed and month < closed[-1]:
        yield f"{closed[-1]} is closed already, which comes after {month}"
    used = months_used(office.evidence(office.prices))
    first = month_after(closed[-1]) if closed else min(used, default=month)
    while first < month:
        yield f"{first} is not closed yet"
        first = month_after(first)


def _books(office: Office) -> Iterator[str]:
    with reading(office.engine) as session:
        yield from (f"ledger: {fault}" for fault in books.faults(session))
        yield from (f"ledger: {fault}" for fault in differences(books.sums(session)))
        if sum(books.balances(session).values()):
            yield "the ledger's accounts do not add up to zero"


def _arrived(office: Office, month: str, now: datetime) -> Iterator[str]:
    """Every journal is complete beyond the month."""
    needed = month_range(month)[1] + LATENESS
    for journal, mark in office.events.marks(now).items():
        if mark <= needed:
            yield f"journal {journal} is known only up to {mark.isoformat()}"


def _kept(office: Office) -> Iterator[str]:
    """Every journal that a closing counted is there, as far and as it was: without it, what it
    was charged for would be credited as a later truth."""
    with reading(office.engine) as session:
        rows = session.scalars(sa.select(BillingMonthRow).order_by(BillingMonthRow.month)).all()
        kept = {
            journal: head
            for row in rows
            for journal, head in named_heads(office.events, row.heads).items()
        }
    heads = office.events.heads()
    for journal, (seq, link) in kept.items():
        number = int(str(seq))
        if heads.get(journal, 0) < number:
            yield f"journal {journal} ends before event {seq}, which an earlier month counted"
        elif number and (office.events.link_at(journal, number) or b"").hex() != link:
            yield f"journal {journal} has another event {seq} than an earlier month counted"


def disagreements(found: Reconciliation, truths: Iterable[Month]) -> Iterator[str]:
    """Lines that come to something else by the roll-ups than by the journals themselves."""
    by_journals = {line.line_id: line.used for line in found.lines}
    for truth in truths:
        rolled = {line.line_id: line.used for line in truth.lines if line.used.answers}
        own = {name: used for name, used in by_journals.items() if name.startswith(truth.month)}
        for name in sorted({*rolled, *own}):
            if rolled.get(name) != own.get(name):
                yield f"metering: {name} was rolled up to something else than the journals hold"


def _metering(office: Office, month: str, found: Reconciliation) -> Iterator[str]:
    yield from (f"metering: {d.code} {d.subject}" for d in found.differences)
    for key in (line.key for line in found.lines):
        if key.month == month and office.prices.rule(key) is None:
            yield f"{key.service} was charged by {key.price_ref}, which is on no price list"
