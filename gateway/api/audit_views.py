"""`GET /v1/audit/…`: what the audit trail says of the caller's own organisation.

`calls` are its own; `uses` are answers under grants that name it as a provider of data. The tenant
comes from the token, never from the request. Reading is an audit event of the office journal.
"""

from __future__ import annotations

from typing import Final

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.access import SignedIn
from gateway.api.audit_query import QUERY, limit_of, sought
from gateway.api.problems import request_id
from gateway.audit.views import own_calls, uses_of_data
from gateway.catalogue.load import Catalogue
from gateway.db.engine import writing
from gateway.db.office_journal import OfficeEvent, record_event
from gateway.errors import BadRequest
from gateway.identity.caller import Caller
from gateway.identity.model import Document
from gateway.serving.accept import JSON
from gateway.serving.refusals import PERSON, shown

router = APIRouter(prefix="/v1/audit")
PARAMETERS: Final = tuple(name for name in QUERY if name != "tenant")


@router.get("/calls")
async def calls(request: Request, caller: SignedIn) -> Response:
    """Own calls, newest first, page by page."""
    asked = _asked(request)
    return _json(await run_in_threadpool(_calls, request, caller, asked))


@router.get("/uses")
async def uses(request: Request, caller: SignedIn) -> Response:
    """Who used data that this organisation provides, newest first, page by page."""
    asked = _asked(request)
    return _json(await run_in_threadpool(_uses, request, caller, asked))


def _asked(request: Request) -> dict[str, str]:
    unknown = sorted(set(request.query_params) - set(PARAMETERS))
    if unknown:
        raise BadRequest(
            "invalid_parameter", f"Parameters are {', '.join(PARAMETERS)}.", "存在未知参数。"
        )
    return {name: value for name, value in request.query_params.items() if value}


def _calls(request: Request, caller: Caller, asked: dict[str, str]) -> Document:
    state = request.app.state
    catalogue: Catalogue = state.desk.editions.cast.for_tenant(caller.tenant_id).catalogue

    def seen(service: str | None, codes: list[str]) -> list[str]:
        aggregate = service in catalogue.services or service in catalogue.cohorts
        return list(shown(tuple(codes), "aggregate" if aggregate else PERSON))

    limit, wanted = limit_of(asked.get("limit", "")), sought(asked)
    found, key = own_calls(state.looking, caller.tenant_id, wanted, limit, seen)
    record_reading(request, caller, "calls", asked)
    return {"entries": found, "next": key}


def _uses(request: Request, caller: Caller, asked: dict[str, str]) -> Document:
    state = request.app.state
    grants = state.identity.directory.snapshot.contents.grants.values()
    provided = {(one.tenant, one.id) for one in grants if caller.tenant_id in one.providers}
    limit, wanted = limit_of(asked.get("limit", "")), sought(asked)
    found, key = uses_of_data(state.looking, provided, wanted, limit)
    record_reading(request, caller, "uses", asked)
    return {"entries": found, "next": key}


def record_reading(request: Request, caller: Caller, what: str, asked: dict[str, str]) -> None:
    """That the trail was read, before it is told."""
    actor = {"client": caller.client_id, "ip": caller.ip, "cert": caller.cert_thumbprint}
    event = OfficeEvent(
        kind="read",
        result="done",
        time=request.app.state.clock(),
        actor={**actor, "trace_id": request.scope["state"]["trace_id"]},
        tenant=caller.tenant_id,
        request_id=request_id(request),
        facts={"action": "read", "target": {"entity": "audit", "id": what}, "query_shape": asked},
    )
    with writing(request.app.state.identity.engine) as session:
        record_event(session, event)


def _json(told: Document) -> Response:
    return Response(orjson.dumps(told), media_type=JSON, headers={"Cache-Control": "no-store"})


def install(app: FastAPI) -> None:
    """Route them."""
    app.include_router(router)
