"""`POST /v1/text/deidentify`: a caller's own texts come back without the persons in them."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.queries import call_of, refusal_response, told_response
from gateway.api.tally import Tally
from gateway.errors import BadRequest
from gateway.metrics import meters
from gateway.metrics.meters import OTHER
from gateway.serving.accept import JSON, choose
from gateway.serving.answer import Desk
from gateway.serving.model import Refusal
from gateway.serving.reasons import UnsupportedMedia
from gateway.texts.asking import Question, read_body
from gateway.texts.desk import TextDesk

PATH: Final = "/v1/text/deidentify"


def install(app: FastAPI, desk: Desk) -> None:
    """Add the route."""
    app.state.texts = TextDesk(desk)
    app.router.routes.append(Route(PATH, _endpoint, methods=["POST"]))


async def _endpoint(request: Request) -> Response:
    request.scope["state"]["route"] = PATH
    texts: TextDesk = request.app.state.texts
    now, body = request.app.state.clock(), await request.body()
    call = call_of(request, body, now)
    offered = next(iter(texts.desk.catalogue.texts), OTHER)
    with Tally(meters, offered) as tally:
        answer = await texts.answer(call, lambda: _read(request, body))
        if isinstance(answer, Refusal):
            tally.refused(answer.deny)
            return refusal_response(answer, call.request_id, now)
        tally.answered()
        return told_response(answer, now)


def _read(request: Request, body: bytes) -> Question:
    """The question; raises for a form that cannot be answered."""
    choose(", ".join(request.headers.getlist("accept")) or None, (JSON,))
    if request.query_params:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    sent = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if sent != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    return read_body(body)
