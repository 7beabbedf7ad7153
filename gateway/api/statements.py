"""`GET /v1/statements`: an organisation's own statements and credit notes, as they were issued.

The tenant comes from the token, so another's paper is as unknown as one that does not exist.
"""

from __future__ import annotations

from typing import Final

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session, defer
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.billing.former import is_former, lines_fen
from gateway.billing.opening import statement_sealer
from gateway.billing.table import as_csv
from gateway.db.billing_tables import PaperRow
from gateway.db.engine import reading
from gateway.errors import NotFound
from gateway.identity.model import Document
from gateway.serving.accept import CSV, JSON, choose

router = APIRouter(prefix="/v1/statements")
PAGE: Final = 100
"""Papers in one answer."""
PDF: Final = "application/pdf"
FORMS: Final = (JSON, CSV, PDF)
_FOR_CLIENTS: Final = ("client", "credit_note")
_ENDS: Final = {JSON: "json", CSV: "csv", PDF: "pdf"}


@router.get("")
async def list_statements(request: Request, caller: SignedIn, after: str = "") -> Response:
    """Own papers, newest first, page by page, and the key they are signed with."""
    told = await run_in_threadpool(_listed, request, caller.tenant_id, after)
    return Response(orjson.dumps(told), media_type=JSON)


@router.get("/{number}")
async def one_statement(number: str, request: Request, caller: SignedIn) -> Response:
    """One own paper as JSON, CSV or PDF, with its signature and seal."""
    engine = request.app.state.identity.engine
    paper = await run_in_threadpool(own_paper, engine, caller.tenant_id, number)
    form = choose(request.headers.get("accept"), forms_of(paper))
    return Response(form_of(paper, form), media_type=form, headers=headers_of(paper, form))


def forms_of(paper: PaperRow) -> tuple[str, ...]:
    """The forms in which a paper was issued."""
    return (JSON,) if is_former(paper) else FORMS


def form_of(paper: PaperRow, form: str) -> bytes:
    """A paper in one of its forms, byte for byte as it was sealed."""
    if form == PDF:
        return paper.pdf
    return as_csv(paper.body).encode() if form == CSV else paper.body


def headers_of(paper: PaperRow, form: str) -> dict[str, str]:
    """Name, signature and seal beside the bytes. A name of other letters is not repeated."""
    plain = paper.number.isascii() and '"' not in paper.number and "\\" not in paper.number
    name = paper.number if plain else "statement"
    return {
        "Content-Disposition": f'attachment; filename="{name}.{_ENDS[form]}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
        "Sluice-Signature": paper.signature,
        "Sluice-Seal": paper.seal,
    }


def listed(paper: PaperRow) -> dict[str, object]:
    """A paper in a list."""
    told = orjson.loads(paper.body)
    return {
        "number": paper.number,
        "kind": paper.kind,
        "month": paper.month,
        "party": paper.party,
        "issued_at": told["issued_at"],
        "lines_fen": lines_fen(told),
        "closing_balance_fen": told.get("closing_balance_fen"),
        "sha256": paper.sha256,
    }


def papers_of(session: Session, tenant: str, after: str = "") -> sa.Select[PaperRow]:
    """A client's papers, newest first; those that follow on one of them, if that is named."""
    own = sa.select(PaperRow).where(PaperRow.party == tenant, PaperRow.kind.in_(_FOR_CLIENTS))
    if after:
        known = own.with_only_columns(PaperRow.issued_at).where(PaperRow.number == after)
        last = session.scalar(known) if after.isprintable() else None
        if last is None:
            raise NotFound("unknown_statement", "")
        same_time = sa.and_(PaperRow.issued_at == last, PaperRow.number > after)
        own = own.where(sa.or_(PaperRow.issued_at < last, same_time))
    return own.order_by(PaperRow.issued_at.desc(), PaperRow.number)


def page_of(session: Session, wanted: sa.Select[PaperRow]) -> tuple[list[Document], str | None]:
    """The first papers that are wanted, and the number to go on after; no PDF is read."""
    first = wanted.options(defer(PaperRow.pdf, raiseload=True)).limit(PAGE + 1)
    papers = list(session.scalars(first))
    more = papers[PAGE - 1].number if len(papers) > PAGE else None
    return [listed(paper) for paper in papers[:PAGE]], more


def _listed(request: Request, tenant: str, after: str) -> dict[str, object]:
    state = request.app.state
    with reading(state.identity.engine) as session:
        papers, more = page_of(session, papers_of(session, tenant, after))
    key = dict(statement_sealer(state.settings).jwk)
    return {"statements": papers, "next": more, "key": key}


def own_paper(engine: sa.Engine, tenant: str, number: str) -> PaperRow:
    """A client's own paper; raises `NotFound` for another's as for one there is not."""
    with reading(engine) as session:
        paper = session.get(PaperRow, number)
        if paper is None or paper.party != tenant or paper.kind not in _FOR_CLIENTS:
            raise NotFound("unknown_statement", "")
        session.expunge(paper)
    return paper
