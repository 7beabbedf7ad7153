"""A client objects to a line of a closed month; what was shared of it is held until it is decided.

    opened → held      at once: its part of every account the fees went to is held
    held → upheld      the client gets the amount back, by a credit note
    held → rejected    everything goes back to where it was

Bookings of a decision fall into the open month; the closed one stays as it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.billing.closing import Office, open_month
from gateway.db.billing_tables import BillingMonthRow, ChargeLineRow, DisputeRow
from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.spelling import one_spelling
from metering import movements
from metering.allotment import allot
from metering.movements import Booking

STATES: Final = {
    "held": frozenset({"upheld", "rejected"}),
    "upheld": frozenset[str](),
    "rejected": frozenset[str](),
}


def raise_dispute(office: Office, line_id: str, reason: str, now: datetime, by: str) -> str:
    """Hold what a line was shared into; the case's id."""
    with writing(office.engine) as session:
        line = _line(session, line_id)
        case = f"D-{line_id}"
        if session.get(DisputeRow, case) is not None:
            raise OperatorError("dispute_exists", f"Line {line_id} was disputed before: {case}.")
        _in_time(session, office, line, now)
        parts = _parts(session, line)
        booking = Booking(open_month(session, now), now, line.month)
        books.post(session, [movements.hold(case, parts, booking)])
        session.add(
            DisputeRow(
                case_id=case,
                line_id=line_id,
                tenant=line.tenant,
                month=line.month,
                service=line.service,
                fen=line.amount_fen,
                reason=reason,
                state="held",
                held=dict(parts),
                opened_at=now,
                opened_by=by,
            )
        )
    return case


def decide(office: Office, case: str, *, upheld: bool, now: datetime, by: str) -> int:
    """Uphold or reject a dispute; the fen credited to the client."""
    after = "upheld" if upheld else "rejected"
    with writing(office.engine) as session:
        row = session.get(DisputeRow, case)
        if row is None:
            raise OperatorError("dispute_unknown", f"There is no dispute {case}.")
        if after not in STATES[row.state]:
            raise OperatorError("state.not_allowed", f"{case} is {row.state} already.")
        if one_spelling(by) == one_spelling(row.opened_by):
            raise OperatorError("second_person", "Who opened a dispute does not decide it.")
        booking = Booking(open_month(session, now), now, row.month)
        held = {account: int(str(fen)) for account, fen in row.held.items()}
        entry = (
            movements.credit_note(case, row.tenant, row.fen, booking)
            if upheld
            else movements.release(case, held, booking)
        )
        books.post(session, [entry])
        row.state, row.decided_at, row.decided_by = after, now, by
        return row.fen if upheld else 0


def _line(session: Session, line_id: str) -> ChargeLineRow:
    """The line as last found; one of nothing cannot be disputed."""
    row = session.scalars(
        sa.select(ChargeLineRow)
        .filter_by(line_id=line_id)
        .order_by(ChargeLineRow.closing.desc())
        .limit(1)
    ).first()
    if row is None or not row.amount_fen:
        raise OperatorError("line_unknown", f"No closed month charged anything by line {line_id}.")
    return row


def _in_time(session: Session, office: Office, line: ChargeLineRow, now: datetime) -> None:
    closed = session.get_one(BillingMonthRow, line.closing)
    days = office.terms.dispute_days
    if now > closed.closed_at + timedelta(days=days):
        raise OperatorError(
            "dispute_late", f"A line may be disputed within {days} days of its statement."
        )


def _parts(session: Session, line: ChargeLineRow) -> dict[str, int]:
    """The line's part of every account its service-month was shared into."""
    shared = books.moved(session, ("share",), f"{line.service}.{line.month}")
    weights = {account: -fen for account, fen in shared.items() if account != "suspense"}
    parts = allot(line.amount_fen, weights)
    return {account: fen for account, fen in parts.items() if fen}
