"""`POST /v1/services/S23/verify`: what became of one pack."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.queries import call_of, refusal_response, told_response
from gateway.api.tally import Tally
from gateway.errors import BadRequest
from gateway.identity.desk import Identity
from gateway.identity.secrets import secret
from gateway.metrics import meters
from gateway.metrics.meters import OTHER
from gateway.serving.accept import JSON, choose
from gateway.serving.answer import Desk
from gateway.serving.model import Refusal
from gateway.serving.reasons import UnsupportedMedia
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
    now, body = request.app.state.clock(), await request.body()
    call = call_of(request, body, now)
    known = traces.desk.catalogue.trace(call.service)
    with Tally(meters, known.id if known else OTHER) as tally:
        answer = await traces.answer(call, lambda: _read(request, body))
        if isinstance(answer, Refusal):
            tally.refused(answer.deny)
            return refusal_response(answer, call.request_id, now)
        tally.answered()
        return told_response(answer, now)


def _read(request: Request, body: bytes) -> Question:
    """The question; raises for a form that cannot be answered. A code stands in the body alone,
    since addresses are logged."""
    choose(", ".join(request.headers.getlist("accept")) or None, (JSON,))
    if request.query_params:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    sent = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if sent != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    return read_body(body)
