"""`GET /v1/audit/{checkpoints,inclusion,consistency}`: proofs about the log of calls.

The tenant comes from the token: the event of another's request is as unknown as one there is not.
What an event says is told of services over many persons only; of the others, that it is there.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Final

import orjson
from cryptography.hazmat.primitives import serialization
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.api.audit_views import record_reading
from gateway.audit import proofs
from gateway.audit.views import is_own
from gateway.errors import BadRequest, Unavailable
from gateway.identity.caller import Caller
from gateway.identity.model import Document
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.proving import logs
from gateway.serving.accept import JSON
from gateway.settings import Settings

router = APIRouter(prefix="/v1/audit")
_REQUEST: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_ORIGIN: Final = re.compile(r"sluice\.journal/[A-Za-z0-9.-]{1,80}")
_SIZE: Final = re.compile(r"[1-9][0-9]{0,14}")


@router.get("/checkpoints")
async def checkpoints(request: Request, caller: SignedIn) -> Response:
    """The last signed note of every log, and the key to check them with."""
    _query(request, {})
    return _json(await run_in_threadpool(_checkpoints, request, caller))


@router.get("/inclusion")
async def inclusion(request: Request, caller: SignedIn) -> Response:
    """That an own call is in the log."""
    asked = _query(request, {"request": _REQUEST}, "request")
    try:
        return _json(await run_in_threadpool(_inclusion, request, caller, asked))
    except Unavailable:
        request.app.state.desk.journal.sign_soon()
        raise


@router.get("/consistency")
async def consistency(request: Request, caller: SignedIn) -> Response:
    """That the log only grew since a note that the caller kept."""
    forms = {"origin": _ORIGIN, "first": _SIZE, "second": _SIZE}
    asked = _query(request, forms, "origin", "first")
    return _json(await run_in_threadpool(_consistency, request, caller, asked))


def _query(request: Request, forms: dict[str, re.Pattern[str]], *needed: str) -> dict[str, str]:
    """The parameters, each once and of its form."""
    given = request.query_params
    fitting = all(
        name in forms and len(given.getlist(name)) == 1 and forms[name].fullmatch(given[name])
        for name in given
    )
    if not fitting or not given.keys() >= set(needed):
        raise BadRequest(
            "invalid_parameter",
            f"The parameters are {', '.join(forms) or 'none'}, each once and of its form.",
            "参数不正确。",
        )
    return dict(given)


def _checkpoints(request: Request, caller: Caller) -> Document:
    settings: Settings = request.app.state.settings
    with closing(logs(settings)) as each:
        told = proofs.newest(each)
    record_reading(request, caller, "checkpoints", {})
    pem = public_key(settings.keys / PUBLIC_KEY).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return told | {"key": pem.decode()}


def _inclusion(request: Request, caller: Caller, asked: dict[str, str]) -> Document:
    settings: Settings = request.app.state.settings
    catalogue = request.app.state.desk.editions.cast.for_tenant(caller.tenant_id).catalogue

    def own(event: Document) -> bool:
        return event.get("tenant") == caller.tenant_id and is_own(event)

    def told(event: Document) -> bool:
        return event.get("service") in {*catalogue.services, *catalogue.cohorts}

    key = public_key(settings.keys / PUBLIC_KEY)
    record_reading(request, caller, "inclusion", asked)
    with closing(logs(settings)) as each:
        return proofs.inclusion(each, asked["request"], key, own, told)


def _consistency(request: Request, caller: Caller, asked: dict[str, str]) -> Document:
    settings: Settings = request.app.state.settings
    key = public_key(settings.keys / PUBLIC_KEY)
    first, second = int(asked["first"]), int(asked.get("second", 0))
    record_reading(request, caller, "consistency", asked)
    with closing(logs(settings)) as each:
        return proofs.consistency(each, asked["origin"], first, second, key)


def _json(told: Document) -> Response:
    return Response(orjson.dumps(told), media_type=JSON, headers={"Cache-Control": "no-store"})


def install(app: FastAPI) -> None:
    """Route them."""
    app.include_router(router)
