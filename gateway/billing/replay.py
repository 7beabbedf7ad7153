"""Find a closed month again from its evidence: journal, releases, terms and ledger.

What comes out must be what was issued, byte for byte in every form, and under its signature. A PDF
that another layout or Typst has set is held against its sealed hash alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.billing.closing import frame_of
from gateway.billing.credit_note import credit_paper, credited_tax
from gateway.billing.disputes import proof_of
from gateway.billing.former import differs, is_former
from gateway.billing.months import heads_of, truth_of
from gateway.billing.office import Office
from gateway.billing.papers import Paper, make_paper, sealed
from gateway.billing.pdf.render import MADE_BY
from gateway.billing.statements import documents_of, make_statements
from gateway.db.billing_tables import BillingMonthRow, DisputeRow, PaperRow
from gateway.db.engine import reading
from gateway.errors import OperatorError


def replay(office: Office, month: str) -> Iterator[str]:
    """What does not come out again; nothing, where everything does."""
    with reading(office.engine) as session:
        closed = session.get(BillingMonthRow, month)
        if closed is None:
            raise OperatorError("month_open", f"{month} is not closed yet: nothing was issued.")
        yield from (f"ledger: {fault}" for fault in books.faults(session))
        truth = truth_of(office, month, heads_of(office.events, closed))
        documents = documents_of(session, truth, frame_of(closed))
        papers = [
            *make_statements(documents, office.sealer),
            *_credit_notes(session, office, month),
        ]
        again = {paper.number: paper for paper in papers}
        issued = {
            row.number: row for row in session.scalars(sa.select(PaperRow).filter_by(month=month))
        }
        for number in sorted({*again, *issued}):
            yield from _compared(office, issued.get(number), again.get(number), number)


def _credit_notes(session: Session, office: Office, month: str) -> Iterator[Paper]:
    notes = sa.select(PaperRow.number, PaperRow.case_id).filter_by(month=month, kind="credit_note")
    for number, case_id in session.execute(notes).all():
        case = session.get_one(DisputeRow, case_id)
        decided_at = case.decided_at
        if decided_at is None:  # its number then stands alone, and that is told
            continue
        proof = proof_of(office, case.case_id, decided_at)
        tax = credited_tax(session, case)
        yield make_paper(
            credit_paper(session, case, tax=tax, proof=proof, number=number), office.sealer
        )


def _compared(
    office: Office, issued: PaperRow | None, again: Paper | None, name: str
) -> Iterator[str]:
    if issued is None:
        yield f"{name}: follows from the evidence and was not issued"
        return
    if again is None:
        yield f"{name}: was issued and does not follow from the evidence"
    if is_former(issued):
        found = differs(issued, again.body if again else None, office.sealer)
        yield from (f"{name}: {finding}" for finding in found)
        return
    if again is not None and issued.body != again.body:
        yield f"{name}: comes out differently"
    told = office.sealer.opened(issued.seal)
    mine = told is not None and told.get("made_by") == MADE_BY
    if again is not None and mine and issued.body == again.body and issued.pdf != again.pdf:
        yield f"{name}: its PDF comes out differently"
    if told is None or not _as_sealed(issued, told):
        yield f"{name}: is not what was issued"
    if not office.sealer.holds(issued.signature, issued.body):
        yield f"{name}: its signature does not hold"


def _as_sealed(issued: PaperRow, told: Mapping[str, object]) -> bool:
    """Whether the forms have the hashes that the seal tells; a body that is another is not read."""
    hashes = told.get("sha256")
    if not isinstance(hashes, dict) or hashes.get("json") != sha256(issued.body).hexdigest():
        return False
    expected = sealed(issued.number, issued.body, issued.pdf)
    return told == {**expected, "made_by": told.get("made_by")}
