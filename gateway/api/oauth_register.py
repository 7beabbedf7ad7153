"""HTTP of client registration: `POST /oauth/register`, and each client's own configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from authlib.oauth2 import OAuth2Error
from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.oauth_forms import read_json
from gateway.api.oauth_http import in_thread, office, respond, unavailable
from gateway.api.presented import presented
from gateway.authserver.model import Reply
from gateway.authserver.office import refusal
from gateway.errors import Unavailable

PATH = "/oauth/register"


async def register(request: Request) -> Response:
    """RFC 7591: make a client of what a software statement vouches for."""
    try:
        document = await read_json(request)
    except OAuth2Error as error:
        return respond(refusal(error))
    now, ip = request.app.state.identity.clock(), presented(request).ip
    return await _work(request, partial(office(request).registration.register, document, ip, now))


async def configure(request: Request) -> Response:
    """RFC 7592: read, replace or end one's own registration."""
    now, ip = request.app.state.identity.clock(), presented(request).ip
    client_id, token = request.path_params["client_id"], _bearer(request)
    desk = office(request).registration
    if request.method in ("GET", "HEAD"):
        return await _work(request, partial(desk.read, client_id, token, ip, now))
    if request.method == "DELETE":
        return await _work(request, partial(desk.delete, client_id, token, ip, now))
    try:
        document = await read_json(request)
    except OAuth2Error as error:
        return respond(refusal(error))
    return await _work(request, partial(desk.update, client_id, token, document, ip, now))


async def _work(request: Request, act: Callable[[], Reply]) -> Response:
    try:
        return respond(await in_thread(request, act))
    except (SQLAlchemyError, Unavailable):
        return unavailable()


def _bearer(request: Request) -> str | None:
    """The registration access token, from the one header it may stand in."""
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    return token if scheme.lower() == "bearer" and token.isascii() and token else None


def add_to(router: APIRouter) -> None:
    """Put the endpoints at their addresses."""
    router.add_route(PATH, register, ["POST"])
    router.add_route(f"{PATH}/{{client_id}}", configure, ["GET", "PUT", "DELETE"])
