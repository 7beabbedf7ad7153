"""HTTP of the authorisation server: pushed requests, authorisation, tokens, what becomes of them.

A form is read strictly (`oauth_forms`), the protocol runs in a worker thread (in batches where
nothing is changed, `oauth_batches`), what happened is made durable (`oauth_audit`), and only then
the answer leaves. A slow disk never holds up other requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeAlias

from authlib.oauth2 import OAuth2Error
from fastapi import APIRouter, FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import oauth_metadata, oauth_register
from gateway.api.oauth_audit import OAuthAudit
from gateway.api.oauth_batches import Ask, Batches
from gateway.api.oauth_forms import read_address, read_form
from gateway.api.oauth_http import in_thread, office, respond, unavailable
from gateway.api.person.screens import stopped
from gateway.api.presented import presented
from gateway.authserver.errors import RequestGone
from gateway.authserver.interaction import cookie_name
from gateway.authserver.model import NO_STORE, VISIT_LIFE, Answered, Opened
from gateway.authserver.office import refusal, spends_code
from gateway.authserver.tokens import SIGNED
from gateway.errors import Unavailable
from gateway.identity.binding import Presented

TOKEN_PATH = "/oauth/token"  # noqa: S105 - an address

Act: TypeAlias = Callable[[Mapping[str, str], Presented, datetime], Answered]
Quick: TypeAlias = Callable[[Mapping[str, str]], bool]


def _never(_form: Mapping[str, str]) -> bool:
    return False


def _always(_form: Mapping[str, str]) -> bool:
    return True


def _unless_a_code_is_spent(form: Mapping[str, str]) -> bool:
    return not spends_code(form)


async def token(request: Request) -> Response:
    """RFC 6749 §3.2: exchange a grant for a bound access token."""
    return await _serve(request, office(request).token, "grant_type", quick=_unless_a_code_is_spent)


async def push(request: Request) -> Response:
    """RFC 9126: hand in an authorisation request, get its name."""
    return await _serve(request, office(request).push)


async def revoke(request: Request) -> Response:
    """RFC 7009: end a token of one's own."""
    return await _serve(request, office(request).revoke)


async def introspect(request: Request) -> Response:
    """RFC 7662, and RFC 9701 for who accepts a signed answer."""
    signed = SIGNED in request.headers.get("accept", "")
    return await _serve(request, partial(office(request).introspect, signed=signed), quick=_always)


async def authorize(request: Request) -> Response:
    """Where a client sends its person; on to the pages, and to no address of the request's."""
    try:
        opened = await _open_visit(request)
    except RequestGone as error:
        pages = getattr(request.app.state, "persons", None)
        if pages is None:  # served without the pages: a problem document then
            raise
        return stopped(request, pages, error)
    issuer = office(request).parts.issuer
    response = RedirectResponse(f"/person/interactions/{opened.id}", 303, dict(NO_STORE))
    response.set_cookie(
        cookie_name(issuer, opened.id),
        opened.browser,
        max_age=int(VISIT_LIFE.total_seconds()),
        path="/",
        secure=issuer.startswith("https://"),
        httponly=True,
        samesite="lax",  # strict would lose it on the way from the client's site to here
    )
    return response


async def _open_visit(request: Request) -> Opened:
    try:
        client_id, request_uri = read_address(request, "client_id", "request_uri")
    except OAuth2Error as error:
        raise RequestGone(
            "request_malformed",
            "This address is not complete; begin again at the service that sent you here.",
            "链接不完整，请返回原来的服务重新开始。",
        ) from error
    now, open_visit = request.app.state.identity.clock(), office(request).interactions.open
    try:
        return await in_thread(request, partial(open_visit, client_id, request_uri, now))
    except SQLAlchemyError as error:
        raise Unavailable(
            "oauth_unavailable", "Try again in a few seconds.", "系统繁忙，请稍后重试。"
        ) from error


async def _serve(request: Request, act: Act, *required: str, quick: Quick = _never) -> Response:
    """Read, act in a worker thread, record, answer."""
    audit: OAuthAudit = request.app.state.oauth_audit
    now, sender = request.app.state.identity.clock(), presented(request)
    try:
        form = await read_form(request, *required)
    except OAuth2Error as error:
        return respond(refusal(error))
    work = partial(act, form, sender, now)
    try:
        if quick(form):
            answered = await _batches(request).answer(Ask(work, sender, now))
        else:
            answered = await in_thread(request, work)
        await audit.record(answered, sender, now)
    except (SQLAlchemyError, Unavailable):
        return unavailable()
    return respond(answered.reply)


def _batches(request: Request) -> Batches:
    """Where requests that change nothing are answered together; one per app."""
    state = request.app.state
    if not hasattr(state, "oauth_batches"):
        state.oauth_batches = Batches(office(request))
    batches: Batches = state.oauth_batches
    return batches


class _TokensFirst:
    """Answers token requests before the framework, which would wrap a fifth more around each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != TOKEN_PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["route"] = TOKEN_PATH  # for the access log
        response = await token(Request(scope, receive))
        await response(scope, receive, send)


def install(app: FastAPI) -> None:
    """Put the authorisation server into the application, before its outermost ring is added."""
    app.add_middleware(_TokensFirst)
    router = APIRouter(tags=["oauth"])
    router.add_route(TOKEN_PATH, token, ["POST"])  # for every other method: 405
    router.add_route("/oauth/par", push, ["POST"])
    router.add_route("/oauth/authorize", authorize, ["GET"])
    router.add_route("/oauth/revoke", revoke, ["POST"])
    router.add_route("/oauth/introspect", introspect, ["POST"])
    oauth_metadata.add_to(router)
    oauth_register.add_to(router)
    app.include_router(router)
