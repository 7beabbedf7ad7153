"""Statements: what a client owes for a month, what a provider earned in it, signed.

A statement is made from the lines, weights and ledger entries of the month and from nothing else,
written in one canonical form and signed: made again, it is the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import orjson
from sqlalchemy.orm import Session

from gateway.billing import account
from gateway.billing.client_paper import client_paper
from gateway.billing.frame import Frame
from gateway.billing.papers import Paper, body_of, make_paper
from gateway.billing.provider_paper import provider_paper
from gateway.billing.seal import Sealer
from gateway.billing.truth import Month
from gateway.db.billing_tables import PaperRow


def documents_of(session: Session, month: Month, frame: Frame) -> list[dict[str, object]]:
    """Every statement of a month whose entries are booked, in a fixed order."""
    used = {line.key.tenant for line in month.lines}
    clients = sorted({*used, *account.parties(session, month.month, "receivable")})
    providers = account.parties(session, month.month, "payable")
    return [
        *(client_paper(session, month, name, frame) for name in clients),
        *(provider_paper(session, month, name, frame) for name in providers),
    ]


def make_statements(documents: Iterable[Mapping[str, object]], sealer: Sealer) -> list[Paper]:
    """The papers of some documents. It takes long: never in a transaction that writes."""
    return [make_paper(document, sealer) for document in documents]


def as_made(
    documents: Iterable[Mapping[str, object]], made: Mapping[str, Paper]
) -> list[Paper] | None:
    """The papers of some documents out of those `made` before; None if one comes out otherwise."""
    papers = []
    for document in documents:
        known = made.get(str(document["number"]))
        if known is None or known.body != body_of(document):
            return None
        papers.append(known)
    return papers


def keep(
    session: Session, month: str, now: datetime, papers: Iterable[Paper], case: str | None = None
) -> None:
    """Issue papers: from now on they never change."""
    session.add_all(
        PaperRow(
            number=paper.number,
            month=month,
            kind=paper.kind,
            party=paper.party,
            case_id=case,
            issued_at=now,
            body=paper.body,
            pdf=paper.pdf,
            sha256=paper.sha256,
            signature=paper.signature,
            seal=paper.seal,
        )
        for paper in papers
    )
    session.flush()


def unbalanced(papers: Iterable[Paper]) -> Iterator[str]:
    """Statements whose rows do not add up to what their balance changed by."""
    for paper in papers:
        told = orjson.loads(paper.body)
        moved = sum(one["fen"] for one in told["movements"] if not one["in_lines"])
        change = told["closing_balance_fen"] - told["opening_balance_fen"]
        lines = sum(line["amount_fen"] for line in told["lines"])
        if not lines + moved == told["lines_fen"] + moved == change:
            yield f"{paper.number}: rows add up to {lines + moved} fen, the balance moved {change}"
