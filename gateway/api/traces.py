"""`POST /v1/services/S23/check`: what became of one pack."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.plain import check_body_alone, replied
from gateway.api.queries import call_of
from gateway.identity.desk import Identity
from gateway.identity.secrets import secret
from gateway.metrics.meters import OTHER
from gateway.serving.answer import Desk
from gateway.settings import Settings
from gateway.traces.asking import Question, read_body
from gateway.traces.desk import TraceDesk
from gateway.traces.guard import Guard
from gateway.traces.source import SECRET, TraceSource

PATH: Final = "/v1/services/{service}/check"
_GUARD: Final = "trace_guard"


def install(app: FastAPI, settings: Settings, desk: Desk) -> None:
    """Add the route; packs are read where `sluice trace load` puts them."""
    identity: Identity = app.state.identity
    source = TraceSource(settings.traces, secret(settings.keys, SECRET))
    guard = Guard(identity.engine, secret(settings.keys, _GUARD))
    app.state.traces = TraceDesk(desk, source, guard)
    app.router.routes.append(Route(PATH, _endpoint, methods=["POST"]))


async def _endpoint(request: Request) -> Response:
    request.scope["state"]["route"] = PATH
    traces: TraceDesk = request.app.state.traces
    body = await request.body()
    call = call_of(request, body, request.app.state.clock())
    known = traces.desk.catalogue.trace(call.service)
    asked = traces.answer(call, lambda: _read(request, body))
    return await replied(call, known.id if known else OTHER, asked)


def _read(request: Request, body: bytes) -> Question:
    """The question; raises for a form that cannot be answered. A code stands in the body alone,
    since addresses are logged."""
    check_body_alone(request)
    return read_body(body)
