"""A month's truth as it is booked: with its commitments, its disputes and what was booked before.

A closed month is found on the terms and at the prices it was closed under.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.billing.former import named_heads
from gateway.billing.office import Office, Prices
from gateway.billing.terms import Terms
from gateway.billing.truth import Month, month_of_account, with_amounts, with_lines
from gateway.db.billing_tables import BillingMonthRow, DisputeRow
from gateway.db.engine import reading
from gateway.errors import OperatorError
from gateway.journal.events import EventSource, Heads
from metering import movements
from metering.calendar import month_of
from metering.ledger import Entry
from metering.movements import Booking
from metering.rating import LineKey, charge, with_commitments


def truth_of(office: Office, month: str, until: Heads | None = None) -> Month:
    """What a month amounts to by the events up to `until`; a closed one on the terms, at the prices
    and with the commitments it was closed under. A month before the books began is never closed:
    what is late of it is shared on the terms of the first closing after it, whichever closing
    comes to know of it."""
    with reading(office.engine) as session:
        closed = session.get(BillingMonthRow, month)
        if closed is not None:
            terms, prices = Terms.model_validate(closed.terms), Prices.read(closed.tariffs)
            committed = committed_of(closed)
        else:
            terms, prices = _terms_after(session, month) or office.terms, office.prices
            committed = office.committed(session, month)
    found = month_of_account(office.evidence(prices), terms, month, until)
    return _with_commitments(found, committed, prices)


def _terms_after(session: Session, month: str) -> Terms | None:
    """The terms of the first closing after a month; none where that is still to come."""
    later = sa.select(BillingMonthRow.terms).where(BillingMonthRow.month > month)
    terms = session.scalars(later.order_by(BillingMonthRow.month).limit(1)).first()
    return None if terms is None else Terms.model_validate(terms)


def _with_commitments(month: Month, committed: Mapping[str, LineKey], prices: Prices) -> Month:
    """The month with a line for every commitment of which nothing was used."""
    used = {line.key for line in month.lines}
    idle = with_commitments({}, (key for key in committed.values() if key not in used))
    if not idle:
        return month
    lines = (*month.lines, *charge(idle, prices.charged_by))
    return with_lines(month, tuple(sorted(lines, key=lambda line: line.key)))


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


def open_month(session: Session, now: datetime) -> str:
    """The month in which something that happens now is booked."""
    month = month_of(now)
    if session.get(BillingMonthRow, month) is not None:
        raise OperatorError("month_closed", f"{month} is closed; book again next month.")
    return month


def heads_of(events: EventSource, row: BillingMonthRow) -> dict[str, int]:
    """How far each journal counted when a month was closed."""
    heads = named_heads(events, row.heads)
    return {journal: int(str(seq)) for journal, (seq, _) in heads.items()}


def sealed_heads(events: EventSource, heads: Heads) -> dict[str, list[object]]:
    """Heads with the chain's hash at each, as a closed month keeps them."""
    links = {journal: events.link_at(journal, seq) for journal, seq in heads.items()}
    return {journal: [seq, (links[journal] or b"").hex()] for journal, seq in heads.items()}


def committed_of(row: BillingMonthRow) -> Mapping[str, LineKey]:
    """Who owed a minimum for a closed month."""
    return {line: LineKey(**key) for line, key in row.committed.items()}  # type: ignore[arg-type]  # JSON
