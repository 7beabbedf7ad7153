"""`/v1/consents`: a receiver asks a person for consent, reads its state, gives it up.

Only the machine token of the receiver opens these addresses. A consent of another organisation is
answered exactly as one that does not exist.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn, machine
from gateway.api.consent_forms import ConsentList, ConsentShown, answers
from gateway.consent.asking import Receiver, Wanted
from gateway.consent.desk import Consents
from gateway.consent.record import Document
from gateway.errors import BadRequest
from gateway.fhir.capability import MEDIA as FHIR
from gateway.fhir.standing import consent as as_consent
from gateway.identity.caller import Caller
from gateway.serving.accept import JSON

router = APIRouter(prefix="/v1/consents", tags=["consents"])

IdempotencyKey: TypeAlias = Annotated[
    str, Header(alias="idempotency-key", pattern=r"^[A-Za-z0-9_.:-]{8,64}$")
]
State: TypeAlias = Literal[
    "AWAITING_PERSON", "AUTHORISED", "REJECTED", "CONSUMED", "EXPIRED", "REVOKED", "SUSPENDED"
]


def _consents(request: Request) -> Consents:
    found: Consents = request.app.state.consents
    return found


ConsentDesk: TypeAlias = Annotated[Consents, Depends(_consents)]


def receiver(caller: Caller) -> Receiver:
    """The receiver behind a machine token; a person's token may not act for it."""
    machine(caller)
    return Receiver(caller.tenant_id, caller.client_id)


@router.post(
    "",
    status_code=201,
    operation_id="ask_consent",
    response_model=ConsentShown,
    responses=answers(409),
)
async def ask(
    request: Request, caller: SignedIn, desk: ConsentDesk, key: IdempotencyKey, wanted: Wanted
) -> Response:
    """Ask a person for consent. The same key and body give the same consent."""
    now = request.app.state.clock()
    made = await run_in_threadpool(desk.ask, wanted, receiver(caller), key, now)
    return _json(made.for_receiver(now), 201, {"Location": f"/v1/consents/{made.id}"})


@router.get("", operation_id="list_consents", response_model=ConsentList, responses=answers())
async def listing(
    request: Request,
    caller: SignedIn,
    desk: ConsentDesk,
    *,
    state: State | None = None,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Own consents in the order in which they were asked for."""
    now, tenant = request.app.state.clock(), receiver(caller).tenant_id

    def read() -> Document:
        page = desk.page(tenant, state=state, after=after, limit=limit, now=now)
        listed = [each.for_receiver(now) for each in page.consents]
        return {"consents": listed, "next_after": page.after}

    return _json(await run_in_threadpool(read))


@router.get(
    "/{consent_id}",
    operation_id="read_consent",
    response_model=ConsentShown,
    responses=answers(404),
)
async def one(request: Request, caller: SignedIn, desk: ConsentDesk, consent_id: str) -> Response:
    """The state of one own consent, as JSON or as a FHIR Consent."""
    found = await run_in_threadpool(desk.read, consent_id, receiver(caller).tenant_id)
    told = found.for_receiver(request.app.state.clock())
    if FHIR in (request.headers.get("accept") or "").lower():
        return Response(orjson.dumps(as_consent(told, subject=consent_id)), media_type=FHIR)
    return _json(told)


@router.delete(
    "/{consent_id}", status_code=204, operation_id="give_up_consent", responses=answers(404)
)
async def give_up(
    request: Request, caller: SignedIn, desk: ConsentDesk, consent_id: str
) -> Response:
    """The receiver wants it no longer: a request is withdrawn, a consent in force is ended."""
    if request.url.query:
        raise BadRequest("invalid_parameter", "This address takes no parameters.")
    now = request.app.state.clock()
    await run_in_threadpool(desk.give_up, consent_id, receiver(caller), now)
    return Response(status_code=204)


def _json(document: Document, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, JSON)
