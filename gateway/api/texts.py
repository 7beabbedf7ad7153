"""`POST /v1/text/deidentify`: a caller's own texts come back without the persons in them."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.plain import check_body_alone, replied
from gateway.api.queries import call_of
from gateway.metrics.meters import OTHER
from gateway.serving.answer import Desk
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
    body = await request.body()
    call = call_of(request, body, request.app.state.clock())
    offered = next(iter(texts.desk.catalogue.texts), OTHER)
    return await replied(call, offered, texts.answer(call, lambda: _read(request, body)))


def _read(request: Request, body: bytes) -> Question:
    """The question; raises for a form that cannot be answered."""
    check_body_alone(request)
    return read_body(body)
