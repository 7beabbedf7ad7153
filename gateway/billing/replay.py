"""Find a closed month again from its evidence: journal, releases, terms and ledger.

What comes out must be what was issued, byte for byte and under its signature.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from sqlalchemy.orm import Session

from gateway.billing import books
from gateway.billing.closing import Office, truth_of
from gateway.billing.statements import remade
from gateway.db.billing_tables import BillingMonthRow, StatementRow
from gateway.db.engine import reading
from gateway.errors import OperatorError


def replay(office: Office, month: str) -> Iterator[str]:
    """What does not come out again; nothing, where everything does."""
    with reading(office.engine) as session:
        closed = session.get(BillingMonthRow, month)
        if closed is None:
            raise OperatorError("month_open", f"{month} is not closed yet: nothing was issued.")
        yield from (f"ledger: {fault}" for fault in books.faults(session))
        truth = truth_of(office, month, closed.journal_seq)
        again = remade(session, truth, closed.closed_at)
        issued = _issued(session, month)
        for key in sorted({*again, *issued}):
            yield from _compared(office, issued.get(key), again.get(key), "/".join(key))


def _issued(session: Session, month: str) -> dict[tuple[str, str], StatementRow]:
    rows = session.scalars(sa.select(StatementRow).filter_by(month=month))
    return {(row.kind, row.party): row for row in rows}


def _compared(
    office: Office, issued: StatementRow | None, again: bytes | None, name: str
) -> Iterator[str]:
    if issued is None:
        yield f"{name}: follows from the evidence and was not issued"
        return
    if again is None:
        yield f"{name}: was issued and does not follow from the evidence"
    elif issued.body != again:
        yield f"{name}: comes out differently"
    if hashlib.sha256(issued.body).hexdigest() != issued.sha256:
        yield f"{name}: is not what was issued"
    try:
        key = office.sealer.key.public_key()
        key.verify(base64.b64decode(issued.signature), issued.body)
    except (InvalidSignature, ValueError):
        yield f"{name}: its signature does not hold"
