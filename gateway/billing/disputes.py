"""A client objects to a line of a closed month; what was shared of it is held until it is decided.

    opened → held                 at once: its part of every account the fees went to is held
    held   → upheld               the client gets what is held back, by a credit note
    held   → partially_upheld     a part of it by a credit note, the rest goes back
    held   → rejected             everything goes back to where it was

A client may claim more than a line charged; what is held, and what can be given back, is never more
than that. A provider that was paid already and has to give back owes it from its next earnings.
Bookings of a decision fall into the open month; the closed one stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.billing.credit_note import credit_paper, credited_tax
from gateway.billing.evidence import evidence_of, line_found
from gateway.billing.months import open_month
from gateway.billing.office import Office
from gateway.billing.papers import Paper, body_of, make_paper
from gateway.billing.statements import keep
from gateway.db.billing_tables import BillingMonthRow, ChargeLineRow, DisputeRow
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity.spelling import one_spelling
from metering import movements
from metering.allotment import allot
from metering.movements import Booking

STATES: Final = {
    "held": frozenset({"upheld", "partially_upheld", "rejected"}),
    "upheld": frozenset[str](),
    "partially_upheld": frozenset[str](),
    "rejected": frozenset[str](),
}


def raise_dispute(
    office: Office,
    line_id: str,
    reason: str,
    now: datetime,
    by: str,
    *,
    claimed: int | None = None,
) -> str:
    """Hold what a line was shared into, all of it or what is `claimed` in fen; the case's id."""
    with writing(office.engine) as session:
        return open_case(session, office, line_id, reason, now=now, by=by, claimed=claimed).case_id


def open_case(
    session: Session,
    office: Office,
    line_id: str,
    reason: str,
    *,
    now: datetime,
    by: str,
    claimed: int | None = None,
) -> DisputeRow:
    """As `raise_dispute`, in a transaction of the caller's."""
    line = line_found(session, line_id)
    case = f"D-{line_id}"
    if session.get(DisputeRow, case) is not None:
        raise OperatorError("dispute.exists", f"Line {line_id} was disputed before: {case}.")
    if claimed is not None and claimed <= 0:
        raise OperatorError("dispute_amount", "A claim is of more than nothing.")
    _in_time(session, office, line, now)
    charged = -books.moved(session, ("charge",), line_id).get("suspense", 0)
    fen = charged if claimed is None else min(claimed, charged)
    parts = _parts(session, line, fen)
    booking = Booking(open_month(session, now), now, line.month)
    books.post(session, [movements.hold(case, parts, booking)])
    row = DisputeRow(
        case_id=case,
        line_id=line_id,
        tenant=line.tenant,
        month=line.month,
        service=line.service,
        fen=fen,
        claimed_fen=charged if claimed is None else claimed,
        credited_fen=0,
        reason=reason,
        state="held",
        held=dict(parts),
        opened_at=now,
        opened_by=by,
    )
    session.add(row)
    return row


@dataclass(frozen=True)
class Decision:
    """A case decided as of a moment, and the credit note that this takes, if it takes one. `fen`:
    what is upheld of what is held, by default all of it."""

    case: str
    at: datetime
    upheld: bool
    fen: int | None = None
    proof: str = ""
    note: Paper | None = None


def decide(
    office: Office,
    case: str,
    *,
    upheld: bool,
    now: datetime,
    by: str,
    upheld_fen: int | None = None,
) -> int:
    """Uphold a dispute, wholly or for `upheld_fen` of it, or reject it; the fen credited."""
    decision = Decision(case, now, upheld=False)
    if upheld:
        decision = prepare_credit(office, case, now, upheld_fen)
    with writing(office.engine) as session:
        return settle(session, decision, by).credited_fen


def proof_of(office: Office, case: str, at: datetime) -> str:
    """Hash of what the disputed line rests on, as it is known when the case is decided; takes long,
    so it is found before a transaction."""
    return evidence_of(office, case.removeprefix("D-"), at).sha256


def prepare_credit(office: Office, case: str, now: datetime, fen: int | None = None) -> Decision:
    """What upholding a dispute comes to: its evidence is read and its note set before anybody
    waits for the database. Changes nothing."""
    with reading(office.engine) as session:
        _open_case(session, case)
    decision = Decision(case, now, upheld=True, fen=fen, proof=proof_of(office, case, now))
    with writing(office.engine) as session:
        trial = session.begin_nested()
        document = _settled(session, _open_case(session, case), decision, "")
        trial.rollback()
    note = None if document is None else make_paper(document, office.sealer)
    return replace(decision, note=note)


def settle(session: Session, decision: Decision, by: str) -> DisputeRow:
    """Carry out a decision in a transaction of the caller's."""
    row = _open_case(session, decision.case)
    if one_spelling(by) == one_spelling(row.opened_by):
        raise OperatorError("second_person", "Who opened a dispute does not decide it.")
    document = _settled(session, row, decision, by)
    if document is not None:
        note = decision.note
        if note is None or note.body != body_of(document):
            raise OperatorError(
                "dispute.state",
                f"Something else was booked while {row.case_id} was looked through: decide again.",
                f"审理 {row.case_id} 期间账目有变，请重新裁定。",
            )
        keep(session, open_month(session, decision.at), decision.at, [note], row.case_id)
    return row


def _settled(
    session: Session, row: DisputeRow, decision: Decision, by: str
) -> dict[str, object] | None:
    """Book a decision; the document of the credit note that follows."""
    fen = row.fen if decision.fen is None else decision.fen
    if decision.upheld and not 0 < fen <= row.fen:
        raise OperatorError(
            "dispute_amount",
            f"{row.case_id} holds {row.fen} fen: more than nothing can be upheld of it.",
        )
    credited = fen if decision.upheld else 0
    after = "rejected" if not credited else "upheld" if credited == row.fen else "partially_upheld"
    booking = Booking(open_month(session, decision.at), decision.at, row.month)
    held = {account: int(str(part)) for account, part in row.held.items()}
    books.post(session, movements.decision(row.case_id, row.tenant, held, credited, booking))
    row.state, row.decided_at, row.decided_by, row.credited_fen = after, decision.at, by, credited
    session.flush()
    if not credited:
        return None
    return credit_paper(session, row, tax=credited_tax(session, row), proof=decision.proof)


def _open_case(session: Session, case: str) -> DisputeRow:
    """The case, if it can be decided."""
    row = session.get(DisputeRow, case)
    if row is None:
        raise OperatorError("dispute_unknown", f"There is no dispute {case}.")
    if row.state != "held":
        raise OperatorError("state.not_allowed", f"{case} is {row.state} already.")
    return row


def _in_time(session: Session, office: Office, line: ChargeLineRow, now: datetime) -> None:
    closed = session.get_one(BillingMonthRow, line.closing)
    days = office.terms.dispute_days
    if now > closed.closed_at + timedelta(days=days):
        raise OperatorError(
            "dispute_late", f"A line may be disputed within {days} days of its statement."
        )


def _parts(session: Session, line: ChargeLineRow, fen: int) -> dict[str, int]:
    """A sum's part of every account the line's service-month was shared into."""
    shared = books.moved(session, ("share",), f"{line.service}.{line.month}")
    weights = {account: -part for account, part in shared.items() if account != "suspense"}
    return {account: part for account, part in allot(fen, weights).items() if part}
