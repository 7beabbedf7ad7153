"""HTTP of the administration: cookies, headers and bodies in, JSON out. No rule lives here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.admin import consents, directory, door, people
from gateway.api.admin.cookies import device_cookie, session_cookie, with_cookies
from gateway.api.admin.document import admin_openapi_bytes
from gateway.api.admin.endpoint import Ask, Endpoint, as_http, serve
from gateway.api.admin.office import Office
from gateway.api.admin.threads import in_thread
from gateway.api.admin.upstream import Upstream, sso_router
from gateway.api.presented import presented
from gateway.errors import BadRequest, Forbidden, OperatorError
from gateway.identity.entries import Entry, check_entry
from gateway.serving.reasons import UnsupportedMedia
from gateway.staff.signing_in import Attempt

BASE = "/admin/v1"
ENDPOINTS: tuple[Endpoint, ...] = (
    *directory.ENDPOINTS,
    *consents.ENDPOINTS,
    *people.ENDPOINTS,
    *door.ENDPOINTS,
)
_JSON = "application/json"
_SAME = frozenset({"same-origin", "none"})

FormType = TypeVar("FormType", bound=Entry)


def admin_router(office: Office, upstream: Upstream | None = None) -> APIRouter:
    """Every endpoint; refuses to route an operation that the table does not name."""
    router, document = APIRouter(), admin_openapi_bytes(ENDPOINTS)

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type=_JSON)

    for endpoint in ENDPOINTS:
        if endpoint.operation not in office.operations.table:
            raise OperatorError(
                "staff.operations", f"{endpoint.operation} is in no row of operations.yaml."
            )
        router.add_route(BASE + endpoint.path, _route(office, endpoint), [endpoint.method])
    router.add_route(f"{BASE}/sign-in", partial(_sign_in, office), ["POST"])
    router.add_route(f"{BASE}/invitations/accept", partial(_accept, office), ["POST"])
    router.add_route(f"{BASE}/invitations/confirm", partial(_confirm, office), ["POST"])
    router.add_route(f"{BASE}/openapi.json", openapi, ["GET"])
    if upstream is not None:
        router.include_router(sso_router(office, upstream))
    return router


def _route(office: Office, endpoint: Endpoint) -> Callable[[Request], Any]:
    async def route(request: Request) -> Response:
        body = None
        if endpoint.method != "GET":
            _same_site(office, request)
            body = await _body(request)
        ask = Ask(
            token=request.cookies.get(session_cookie(office), ""),
            csrf=request.headers.get("sluice-csrf", ""),
            at=request.path_params,
            query=request.query_params,
            body=body,
        )
        answer = await in_thread(office.threads, serve, office, endpoint, ask)
        return Response(orjson.dumps(answer), endpoint.status, media_type=_JSON)

    return route


async def _sign_in(office: Office, request: Request) -> Response:
    """Sign in; the answer sets the cookies and says the csrf token."""
    form = await _form(office, request, door.SignInForm)
    attempt = Attempt(
        name=form.name,
        password=form.password,
        code=form.code,
        ip=presented(request).ip,
        device=request.cookies.get(device_cookie(office), ""),
        session=request.cookies.get(session_cookie(office), ""),
    )
    signed_in = await in_thread(office.door_threads, office.door.sign_in, attempt)
    return with_cookies(office, orjson.dumps(door.welcome(office, signed_in)), signed_in)


async def _accept(office: Office, request: Request) -> Response:
    form = await _form(office, request, door.AcceptForm)
    answer = await in_thread(office.door_threads, _explained, door.accept, office, form)
    return Response(orjson.dumps(answer), media_type=_JSON)


async def _confirm(office: Office, request: Request) -> Response:
    form = await _form(office, request, door.ConfirmForm)
    answer = await in_thread(office.door_threads, _explained, door.confirm, office, form)
    return Response(orjson.dumps(answer), media_type=_JSON)


def _explained(act: Callable[[Office, Any], Any], office: Office, form: Entry) -> Any:
    """The act's answer, its errors as HTTP errors."""
    try:
        return act(office, form)
    except OperatorError as error:
        raise as_http(error) from error


async def _form(office: Office, request: Request, form: type[FormType]) -> FormType:
    _same_site(office, request)
    content = await _body(request)
    try:
        return check_entry(form, content, "body")
    except OperatorError as error:
        raise as_http(error) from error


async def _body(request: Request) -> object:
    """The JSON body; another media type is what a foreign page's form could send, so it is not."""
    body = await request.body()
    if not body and "content-type" not in request.headers:
        return {}
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest("malformed_json", "") from error


def _same_site(office: Office, request: Request) -> None:
    """Refuse what a browser says another site has caused."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    ours = urlsplit(office.issuer)
    if site not in _SAME or (origin is not None and origin != f"{ours.scheme}://{ours.netloc}"):
        raise Forbidden(
            "csrf", "Another site caused this request.", "该请求来自其他网站，已被拒绝。"
        )
