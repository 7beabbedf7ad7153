"""`/v1/events`: how a receiver hears that a consent was given, ended or changed.

An event is a signed token (RFC 8417). It waits until the receiver takes it in: pushed to a
registered address (RFC 8935), or fetched and acknowledged (RFC 8936).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import anyio
import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.api.consent_forms import Sets, StreamShown, answers
from gateway.api.consents import ConsentDesk, receiver
from gateway.api.event_push import EventSigner, check_endpoint
from gateway.consent import outbox
from gateway.consent.asking import Receiver
from gateway.consent.desk import Consents
from gateway.consent.record import Document
from gateway.db.consent_tables import EventStreamRow
from gateway.db.engine import reading, writing
from gateway.errors import BadRequest, NotFound, Unauthenticated
from gateway.identity.caller import Caller
from gateway.identity.desk import Identity
from gateway.identity.jwks_remote import FetchRule
from gateway.serving.accept import JSON

router = APIRouter(prefix="/v1/events", tags=["events"])

PUSH = "urn:ietf:rfc:8935"
POLL = "urn:ietf:rfc:8936"
MOST_EVENTS = 100
LONGEST_WAIT = 20.0
_LOOK_EVERY = 0.5

Jti: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Plain: TypeAlias = Annotated[str, Field(pattern=r"^[ -~]*$", max_length=100)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Delivery(_Form):
    """Where to push to."""

    method: Annotated[str, Field(pattern=f"^{PUSH}$")]
    endpoint_url: Annotated[str, Field(max_length=500)]


class Stream(_Form):
    """The body of `PUT /v1/events/stream`."""

    delivery: Delivery


class Fault(_Form):
    """Why an event could not be taken in (RFC 8936 §2.6)."""

    err: Plain
    description: Annotated[str, Field(max_length=500)] = ""


Faults: TypeAlias = Annotated[dict[Jti, Fault], Field(max_length=1000)]


class Poll(_Form):
    """The body of `POST /v1/events/poll` (RFC 8936 §2.2)."""

    maxEvents: Annotated[int, Field(ge=0, le=1000)] = MOST_EVENTS  # noqa: N815 — RFC 8936's name
    returnImmediately: bool = False  # noqa: N815 — RFC 8936's name
    ack: Annotated[tuple[Jti, ...], Field(max_length=1000)] = ()
    setErrs: Faults = {}  # noqa: N815 — RFC 8936's name


def _signer(request: Request) -> EventSigner:
    found: EventSigner = request.app.state.event_signer
    return found


def _rule(request: Request) -> FetchRule:
    settings = request.app.state.settings
    return FetchRule(settings.fetch_loopback, settings.fetch_ca)


@router.post("/poll", operation_id="poll_events", response_model=Sets, responses=answers())
async def poll(
    request: Request,
    caller: SignedIn,
    desk: ConsentDesk,
    signer: Annotated[EventSigner, Depends(_signer)],
    asked: Poll,
) -> Response:
    """Take in what was heard, and give what still waits; waits a little when nothing does."""
    who, clock = receiver(caller), request.app.state.clock
    await run_in_threadpool(_acknowledge, desk, who, asked, clock())
    found, more = await run_in_threadpool(_waiting, desk, who, asked)
    if not asked.returnImmediately and asked.maxEvents and not found:
        with anyio.move_on_after(LONGEST_WAIT):
            while not found:
                await anyio.sleep(_LOOK_EVERY)
                _still_good(request, caller)
                if await request.is_disconnected():
                    break
                found, more = await run_in_threadpool(_waiting, desk, who, asked)
    sets = {str(claims["jti"]): signer.token(claims) for claims in found}
    return _json({"sets": sets, "moreAvailable": more})


def _still_good(request: Request, caller: Caller) -> None:
    """A caller that was shut out while it waits gets nothing more."""
    identity: Identity = request.app.state.identity
    identity.revocations.check_fresh()
    live = caller.client_id in identity.directory.snapshot.live_clients
    if not live or identity.revocations.is_revoked(caller.token_id, caller.client_id):
        raise Unauthenticated("token_revoked", "The access token is no longer accepted.")


def _acknowledge(desk: Consents, who: Receiver, asked: Poll, now: datetime) -> None:
    if asked.ack or asked.setErrs:
        faults = {jti: fault.err for jti, fault in asked.setErrs.items()}
        with writing(desk.engine) as session:
            outbox.acknowledge(session, who.client_id, list(asked.ack), faults, now)


def _waiting(desk: Consents, who: Receiver, asked: Poll) -> tuple[tuple[Document, ...], bool]:
    most = min(asked.maxEvents, MOST_EVENTS)
    with reading(desk.engine) as session:
        found = outbox.waiting(session, who.client_id, most + 1)
    return found[:most], len(found) > most


@router.put(
    "/stream", operation_id="set_event_stream", response_model=StreamShown, responses=answers()
)
async def set_stream(
    request: Request, caller: SignedIn, desk: ConsentDesk, wanted: Stream
) -> Response:
    """Have events pushed to an address of one's own."""
    who, now = receiver(caller), request.app.state.clock()
    endpoint = wanted.delivery.endpoint_url
    fault = await run_in_threadpool(check_endpoint, endpoint, _rule(request))
    if fault:
        raise BadRequest("event_endpoint", f"This address cannot be pushed to: {fault}")
    stream = EventStreamRow(
        client_id=who.client_id, tenant_id=who.tenant_id, endpoint=endpoint, since=now
    )
    await run_in_threadpool(_keep, desk, stream)
    return _json(_stream(endpoint))


def _keep(desk: Consents, stream: EventStreamRow) -> None:
    with writing(desk.engine) as session:
        session.merge(stream)


@router.get(
    "/stream", operation_id="read_event_stream", response_model=StreamShown, responses=answers()
)
async def read_stream(caller: SignedIn, desk: ConsentDesk) -> Response:
    """How events are delivered: pushed, or kept for polling."""
    who = receiver(caller)

    def read() -> str | None:
        with reading(desk.engine) as session:
            row = session.get(EventStreamRow, who.client_id)
            return row.endpoint if row else None

    return _json(_stream(await run_in_threadpool(read)))


@router.delete("/stream", status_code=204, operation_id="end_event_stream", responses=answers(404))
async def end_stream(caller: SignedIn, desk: ConsentDesk) -> Response:
    """Push no longer; events wait for polling again."""
    who = receiver(caller)

    def remove() -> bool:
        with writing(desk.engine) as session:
            row = session.get(EventStreamRow, who.client_id)
            if row is not None:
                session.delete(row)
            return row is not None

    if not await run_in_threadpool(remove):
        raise NotFound("not_found", "")
    return Response(status_code=204)


def _stream(endpoint: str | None) -> Document:
    if endpoint is None:
        return {"delivery": {"method": POLL, "endpoint_url": "/v1/events/poll"}}
    return {"delivery": {"method": PUSH, "endpoint_url": endpoint}}


def _json(document: Document) -> Response:
    return Response(orjson.dumps(document), media_type=JSON)
