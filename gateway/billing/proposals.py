"""Closing a month takes two people: one looks it through and proposes, another closes it as it was.

What is closed is what was proposed: if any amount has changed in between, somebody looks again.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from gateway.billing.closing import Closed, Prepared, commit
from gateway.billing.office import Office
from gateway.db.billing_tables import BillingMonthRow, ClosingProposalRow
from gateway.errors import OperatorError
from gateway.identity.spelling import one_spelling


def propose(session: Session, prepared: Prepared, now: datetime, by: str) -> ClosingProposalRow:
    """Say that a month may be closed like this; a later proposal takes the place of an earlier."""
    if session.get(BillingMonthRow, prepared.month) is not None:
        raise OperatorError("month_closed", f"{prepared.month} is closed already.")
    row = session.get(ClosingProposalRow, prepared.month)
    row = row or ClosingProposalRow(month=prepared.month)
    row.digest, row.proposed_at, row.proposed_by = prepared.digest, now, by
    session.add(row)
    session.flush()
    return row


def confirm(session: Session, office: Office, prepared: Prepared, by: str) -> Closed:
    """Close a month that somebody else proposed, if it still comes to the same."""
    row = session.get(ClosingProposalRow, prepared.month)
    if row is None:
        raise OperatorError(
            "closing.state", f"Nobody proposed to close {prepared.month}: propose it first."
        )
    if one_spelling(row.proposed_by) == one_spelling(by):
        raise OperatorError(
            "closing.same_approver", f"{row.proposed_by} proposed {prepared.month}: another closes."
        )
    if row.digest != prepared.digest:
        raise OperatorError(
            "closing.state",
            f"{prepared.month} comes to something else than when it was proposed: look again.",
        )
    return commit(session, office, prepared, by)
