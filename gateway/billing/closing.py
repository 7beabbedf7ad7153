"""Close a month: nothing is left to explain, or it stays open.

In one transaction: the month's lines are charged, its fees divided, what became known about earlier
months is booked as a difference, statements are issued, and the month takes no entry any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.orm import Session

from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.billing import books
from gateway.billing.statements import Sealer, issue
from gateway.billing.terms import Terms
from gateway.billing.truth import (
    EVERYTHING,
    Evidence,
    Month,
    month_of_account,
    months_used,
    with_amounts,
)
from gateway.catalogue.tariff import Tariff, charged_by, rule_of
from gateway.db.billing_tables import (
    BillingMonthRow,
    ChargeLineRow,
    DisputeRow,
    ProviderWeightRow,
)
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from metering import movements
from metering.calendar import month_of, month_range
from metering.ledger import Entry
from metering.movements import Booking
from metering.revenue_cap import YearState, years


@dataclass(frozen=True)
class Office:
    """Where the books are kept and what they rest on."""

    engine: sa.Engine
    journal: Path
    releases: Path
    tariffs: Mapping[str, Tariff]
    terms: Terms
    audit_key: Ed25519PublicKey
    sealer: Sealer

    def evidence(self, tariffs: Mapping[str, Tariff]) -> Evidence:
        """What months follow from, at these published prices."""
        return Evidence(self.journal, self.releases, partial(charged_by, tariffs))


@dataclass(frozen=True)
class Closed:
    """What a closing booked and issued."""

    month: str
    lines: int
    fees_fen: int
    entries: int
    adjusted_months: tuple[str, ...]
    statements: int


def checklist(office: Office, month: str, now: datetime) -> Iterator[str]:
    """What stands in the way of closing a month; nothing, where it may be closed."""
    ends = month_range(month)[1] + timedelta(days=office.terms.grace_days)
    if now < ends:
        yield f"{month} may be closed from {ends.date()} on"
    with reading(office.engine) as session:
        closed = set(session.scalars(sa.select(BillingMonthRow.month)))
        yield from (f"ledger: {fault}" for fault in books.faults(session))
        if sum(books.balances(session).values()):
            yield "the ledger's accounts do not add up to zero"
    if month in closed:
        yield f"{month} is closed already"
    for before in months_used(office.journal):
        if before < month and before not in closed:
            yield f"{before} is not closed yet"
    found = reconcile(office.journal, office.evidence(office.tariffs).price)
    yield from (f"metering: {d.code} {d.subject}" for d in found.differences)
    for key in (line.key for line in found.lines):
        if key.month == month and rule_of(office.tariffs, key) is None:
            yield f"{key.service} was charged by {key.price_ref}, which is on no price list"
    yield from (
        f"audit: {finding.code} at event {finding.first}"
        for finding in verify(office.journal, office.audit_key).findings
    )


def close(office: Office, month: str, now: datetime, by: str) -> Closed:
    """Close a month. Refuses while anything stands in the way, and then changes nothing."""
    found = list(checklist(office, month, now))
    if found:
        raise OperatorError("cannot_close", f"{month} cannot be closed: {'; '.join(found[:20])}.")
    known = verify(office.journal, office.audit_key)
    used = [each for each in months_used(office.journal) if each <= month]
    truths = [truth_of(office, each, known.events) for each in used]
    with writing(office.engine) as session:
        if session.get(BillingMonthRow, month) is not None:
            raise OperatorError("month_closed", f"{month} was closed by somebody else just now.")
        truths = [undisputed(session, each, month) for each in truths]
        booked = [(truth, book(session, truth, month, now)) for truth in truths]
        adjusted = tuple(truth.month for truth, count in booked if count and truth.month != month)
        nothing = Month(month, (), {}, {}, office.terms)
        own = next((truth for truth in truths if truth.month == month), nothing)
        for truth in truths:
            if truth.month in {month, *adjusted}:
                session.add_all(_rows(truth, month))
        issued = issue(session, office.sealer, own, now)
        session.add(
            BillingMonthRow(
                month=month,
                closed_at=now,
                closed_by=by,
                journal_head=known.head,
                journal_seq=known.events,
                terms=office.terms.model_dump(),
                tariffs={name: one.model_dump(mode="json") for name, one in office.tariffs.items()},
                ledger_head=books.head(session),
            )
        )
    fees = sum(line.amount_fen for line in own.lines)
    count = sum(count for _, count in booked)
    return Closed(month, len(own.lines), fees, count, adjusted, issued)


def income(office: Office) -> tuple[YearState, ...]:
    """Each year's income from clients, credit notes taken off, against what was approved for it."""
    with reading(office.engine) as session:
        earned = books.income_by_year(session)
    return years(office.terms.approved_income_fen, earned)


def open_month(session: Session, now: datetime) -> str:
    """The month in which something that happens now is booked."""
    month = month_of(now)
    if session.get(BillingMonthRow, month) is not None:
        raise OperatorError("month_closed", f"{month} is closed; book again next month.")
    return month


def truth_of(office: Office, month: str, until: int = EVERYTHING) -> Month:
    """What a month amounts to by the events up to `until`; a closed one on the terms and at the
    prices it was closed under."""
    terms, tariffs = office.terms, office.tariffs
    with reading(office.engine) as session:
        closed = session.get(BillingMonthRow, month)
        if closed is not None:
            terms = Terms.model_validate(closed.terms)
            tariffs = {name: Tariff.model_validate(one) for name, one in closed.tariffs.items()}
    return month_of_account(office.evidence(tariffs), terms, month, until)


def book(session: Session, truth: Month, period: str, now: datetime) -> int:
    """Book what is true of a month less what was booked of it before; how many entries."""
    booking = Booking(period, now, truth.month)
    return books.post(session, filter(None, _differences(session, truth, booking)))


def _differences(session: Session, truth: Month, booking: Booking) -> Iterator[Entry | None]:
    for line in truth.lines:
        yield movements.charge(line, books.moved(session, ("charge",), line.line_id), booking)
    for service, parts in truth.splits.items():
        before = books.moved(session, ("share",), f"{service}.{truth.month}")
        yield movements.share(service, parts, before, booking)


def undisputed(session: Session, truth: Month, closing: str) -> Month:
    """Lines in dispute, or given back after one, stay at what was charged for them: a correction
    on top would give the same fen back twice."""
    if truth.month == closing:
        return truth
    disputed = session.scalars(
        sa.select(DisputeRow.line_id).where(
            DisputeRow.month == truth.month, DisputeRow.state != "rejected"
        )
    )
    charged = {
        line_id: -books.moved(session, ("charge",), line_id).get("suspense", 0)
        for line_id in disputed
    }
    return with_amounts(truth, charged) if charged else truth


def _rows(truth: Month, closing: str) -> Iterator[ChargeLineRow | ProviderWeightRow]:
    for line in truth.lines:
        key, used = line.key, line.used
        yield ChargeLineRow(
            closing=closing,
            line_id=line.line_id,
            month=truth.month,
            tenant=key.tenant,
            grant_id=key.grant,
            service=key.service,
            unit=key.unit,
            price_ref=key.price_ref,
            price_micro=key.price_micro,
            answers=used.answers,
            qty=used.qty,
            billable=used.billable,
            repeated=used.repeated,
            units=line.units,
            amount_fen=line.amount_fen,
        )
    for service, weights in truth.weights.items():
        for provider, weight in weights.items():
            yield ProviderWeightRow(
                closing=closing,
                month=truth.month,
                service=service,
                provider=provider,
                weight=str(weight),
            )
