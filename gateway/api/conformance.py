"""`/v1/conformance`: a client has itself examined, in the sandbox alone.

The client starts a run with its own token, does its tasks as it would in production, says what it
did with files and events, and ends the run: the report is signed. A run is its client's alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from http.client import HTTPException
from typing import Annotated, Final, Literal, TypeAlias

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from joserfc.jwk import JWKRegistry
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gateway.api.access import Machine
from gateway.api.event_push import SET_TYPE, Pusher
from gateway.api.examined import Examined
from gateway.billing.opening import statement_sealer
from gateway.billing.seal import Sealer
from gateway.conformance.book import Book, Run
from gateway.conformance.pushing import Sending, try_receiver
from gateway.conformance.report import MEDIA, TYPE
from gateway.conformance.tasks import tasks
from gateway.conformance.verdicts import passed
from gateway.errors import NotFound
from gateway.identity.desk import Identity
from gateway.identity.directory import Snapshot
from gateway.identity.jose import sign_es256
from gateway.identity.jwks_remote import FetchRefused, FetchRule
from gateway.serving.accept import JSON
from gateway.settings import Settings

router = APIRouter(prefix="/v1/conformance", tags=["conformance"])
SANDBOX: Final = "sandbox"


class Acknowledgement(BaseModel):
    """What the client did: with a file (`JOB/files/NAME`, or its address) or an event (its jti)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Annotated[str, Field(pattern=r"^[!-~]{1,300}$")]
    outcome: Literal["taken", "refused"]


def install(app: FastAPI, settings: Settings) -> None:
    """Add the routes; in the sandbox also what observes and challenges."""
    app.state.conformance = None
    if settings.env == SANDBOX:
        identity: Identity = app.state.identity
        sealer = Sealer(statement_sealer(settings).key, TYPE)
        book = app.state.conformance = Book(identity.engine, sealer, time.time)
        app.add_middleware(Examined, book=book)
    app.include_router(router)


def _book(request: Request) -> Book:
    found: Book | None = request.app.state.conformance
    if found is None:
        raise NotFound("sandbox_only", "Only the sandbox examines clients.", "仅沙箱提供该测试。")
    return found


Books: TypeAlias = Annotated[Book, Depends(_book)]


@router.get("/keys")
async def keys(book: Books) -> Response:
    """The public key of reports, for whoever accepts them."""
    return _json({"keys": [dict(book.sealer.jwk)]})


@router.post("/runs")
async def start(request: Request, book: Books, caller: Machine) -> Response:
    """Begin a run; one that goes on for this client is over."""
    identity: Identity = request.app.state.identity
    run = await run_in_threadpool(begin, book, identity, caller.client_id, identity.clock())
    return await _told(request, book, run, 201)


@router.get("/runs")
async def listing(request: Request, book: Books, caller: Machine) -> Response:
    """Own runs, newest first."""
    now = request.app.state.clock()
    runs = await run_in_threadpool(book.listed, caller.client_id)
    return _json({"runs": [brief(each, each.is_live(now)) for each in runs]})


@router.get("/runs/{run_id}")
async def one(request: Request, book: Books, caller: Machine, run_id: str) -> Response:
    """A run: its tasks, and what came of every check so far."""
    run = await run_in_threadpool(book.find, caller.client_id, run_id)
    return await _told(request, book, run)


@router.post("/runs/{run_id}/acknowledgements")
async def acknowledge(
    request: Request, book: Books, caller: Machine, run_id: str, said: Acknowledgement
) -> Response:
    """Say what became of a file or an event."""
    run = await run_in_threadpool(book.find, caller.client_id, run_id)
    item = said.item.rpartition("/v1/exports/")[2]
    await run_in_threadpool(book.say, run, item, said.outcome, request.app.state.clock())
    return Response(status_code=204)


@router.post("/runs/{run_id}/events")
async def push(request: Request, book: Books, caller: Machine, run_id: str) -> Response:
    """Have three events pushed to the registered receiver, now."""
    run, now = (
        await run_in_threadpool(book.find, caller.client_id, run_id),
        request.app.state.clock(),
    )
    book.check_live(run, now)
    told = await run_in_threadpool(try_receiver, book, run, _sending(request), now)
    return _json({"events": told})


@router.post("/runs/{run_id}/end")
async def end(request: Request, book: Books, caller: Machine, run_id: str) -> Response:
    """End a run; the report is signed."""
    run = await run_in_threadpool(book.find, caller.client_id, run_id)
    identity: Identity = request.app.state.identity
    facts = about(identity.issuer, identity.directory.snapshot, caller.client_id)
    await run_in_threadpool(book.end, run, facts, identity.clock())
    ended = await run_in_threadpool(book.find, caller.client_id, run_id)
    return await _told(request, book, ended)


@router.get("/runs/{run_id}/report")
async def report(book: Books, caller: Machine, run_id: str) -> Response:
    """The signed report, as the data office takes it."""
    run = await run_in_threadpool(book.find, caller.client_id, run_id)
    if run.report is None:
        raise NotFound("no_report", "End the run first.", "请先结束测试。")
    return Response(run.report, media_type=MEDIA)


def begin(book: Book, identity: Identity, client_id: str, now: datetime) -> Run:
    """A new run for a client, in the way it proves itself."""
    client = identity.directory.snapshot.clients[client_id]
    return book.start((client.tenant_id, client.id), client.binding, now)


def about(issuer: str, snapshot: Snapshot, client_id: str) -> dict[str, object]:
    """Whose client a report is about: what another office knows the organisation by."""
    client = snapshot.clients[client_id]
    tenant = snapshot.tenants[client.tenant_id]
    listed = client.jwks.get("keys", [])
    held = listed if isinstance(listed, list) else []
    return {
        "issuer": issuer,
        "organisation": {"tenant": tenant.id, "uscc": tenant.uscc},
        "client": {
            "id": client.id,
            "name": client.name,
            "binding": client.binding,
            "keys": [JWKRegistry.import_key(each).thumbprint() for each in held],
        },
    }


def brief(run: Run, live: bool) -> dict[str, object]:
    """A run in a list."""
    return {
        "run_id": run.id,
        "state": "live" if live else "ended" if run.report else "abandoned",
        "started_at": run.started_at.isoformat(),
        "expires_at": run.expires_at.isoformat(),
        "ended_at": run.ended_at and run.ended_at.isoformat(),
    }


async def _told(request: Request, book: Book, run: Run, status: int = 200) -> Response:
    found = await run_in_threadpool(book.verdicts, run)
    told = {
        **brief(run, run.is_live(request.app.state.clock())),
        "tasks": tasks(run),
        "checks": [each.document() for each in found],
        "passed": passed(found),
    }
    return _json(told, status)


def _sending(request: Request) -> Sending:
    """The road of all events, and a key that is nobody's."""
    settings: Settings = request.app.state.settings
    signer = request.app.state.event_signer
    pusher = Pusher(signer, FetchRule(settings.fetch_loopback, settings.fetch_ca))
    identity: Identity = request.app.state.identity
    header = {"alg": "ES256", "typ": SET_TYPE, "kid": identity.ring().kid}
    stranger = ec.generate_private_key(ec.SECP256R1())

    def forge(claims: dict[str, object]) -> str:
        return sign_es256(stranger, header, {"iss": identity.issuer, **claims})

    return Sending(signer.token, forge, partial(_status, pusher.send))


def _status(send: Callable[[str, str], int], endpoint: str, token: str) -> int:
    try:
        return send(endpoint, token)
    except (OSError, HTTPException, FetchRefused):
        return 0


def _json(told: object, status: int = 200) -> Response:
    return Response(orjson.dumps(told), status, media_type=JSON)
