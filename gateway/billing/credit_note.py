"""A credit note: what a client is given back after a dispute, as a paper with a number of its own.

It follows from the case, its line and the statement it corrects; made again, it is the same.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing.evidence import line_found
from gateway.billing.frame import CLIENT, CREDIT, Frame, Labels, inputs_hash
from gateway.db.billing_tables import (
    BillingMonthRow,
    ChargeLineRow,
    DisputeRow,
    LedgerEntryRow,
    LedgerPostingRow,
    PaperRow,
)
from metering.calendar import month_of


def credit_paper(
    session: Session, case: DisputeRow, *, tax: int, proof: str, number: str = ""
) -> dict[str, object]:
    """The document of a decided case. `tax`: what of the credit comes back from the tax;
    `proof`: hash of the line's evidence; `number`: of the note, when it is made again."""
    if case.decided_at is None:
        raise ValueError("a case that is not decided credits nothing")
    line = line_found(session, case.line_id, case.decided_at)
    closed = session.get_one(BillingMonthRow, line.closing)
    corrected = f"{CLIENT}-{line.closing}-{case.tenant}"
    statement = session.scalar(sa.select(PaperRow.sha256).filter_by(number=corrected))
    inputs = {"evidence": proof, "statement": statement or ""}
    frame = Frame(case.decided_at, Labels.read(closed.labels), inputs_hash(inputs))
    month = month_of(case.decided_at)
    credited = {
        "net_fen": tax - case.credited_fen,
        "tax_fen": -tax,
        "amount_fen": -case.credited_fen,
    }
    return {
        **frame.head(CREDIT, "credit_note", month, case.tenant),
        "number": number or _next_number(session, month, case.tenant),
        "about_month": case.month,
        "corrects": corrected,
        "case": case.case_id,
        "line_id": case.line_id,
        "service": case.service,
        "title": frame.labels.service(case.service),
        "reason": case.reason,
        "state": case.state,
        "evidence_sha256": proof,
        "line_fen": line.amount_fen,
        "claimed_fen": case.claimed_fen,
        "held_fen": case.fen,
        "lines": [{"category": "credit_note", "line_id": case.line_id, **_line(line), **credited}],
        "lines_fen": -case.credited_fen,
        "net_fen": credited["net_fen"],
        "tax_fen": -tax,
    }


def credited_tax(session: Session, case: DisputeRow) -> int:
    """What of a credit comes back from the tax: what was held of it less what was released."""
    held = int(str(case.held.get("tax", 0)))
    released = session.execute(
        sa.select(LedgerPostingRow.fen)
        .join(LedgerEntryRow, LedgerEntryRow.number == LedgerPostingRow.number)
        .where(
            LedgerEntryRow.kind == "release",
            LedgerEntryRow.cause == case.case_id,
            LedgerPostingRow.account == "tax",
        )
    ).scalar()
    return held + int(released or 0)


def _line(line: ChargeLineRow) -> dict[str, object]:
    return {
        "grant": line.grant_id,
        "service": line.service,
        "unit": line.unit,
        "price_ref": line.price_ref,
    }


def _next_number(session: Session, month: str, tenant: str) -> str:
    before = session.scalar(
        sa.select(sa.func.count())
        .select_from(PaperRow)
        .filter_by(month=month, kind="credit_note", party=tenant)
    )
    return f"{CREDIT}-{month}-{tenant}-{(before or 0) + 1:02d}"
