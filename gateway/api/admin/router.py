"""HTTP of the administration: cookies, headers and bodies in, JSON out. No rule lives here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.admin import (
    alarms,
    audit,
    billing,
    billing_disputes,
    conformance,
    consents,
    decisions,
    directory,
    door,
    jobs,
    marks,
    offer,
    people,
    policies,
    rule_packages,
    subjects,
    today,
    waivers,
)
from gateway.api.admin.asking import JSON, read_ask, read_form
from gateway.api.admin.cookies import device_cookie, session_cookie, with_cookies
from gateway.api.admin.document import admin_openapi_bytes
from gateway.api.admin.endpoint import Endpoint, File, as_http, check_visitor, serve
from gateway.api.admin.office import Office
from gateway.api.admin.upstream import LINK, Upstream, sso_router
from gateway.api.presented import presented
from gateway.api.threads import in_thread
from gateway.errors import OperatorError
from gateway.identity.entries import Entry
from gateway.staff.signing_in import Attempt

BASE = "/admin/v1"
ENDPOINTS: tuple[Endpoint, ...] = (
    *today.ENDPOINTS,
    *offer.ENDPOINTS,
    *marks.ENDPOINTS,
    *directory.ENDPOINTS,
    *alarms.ENDPOINTS,
    *audit.ENDPOINTS,
    *subjects.ENDPOINTS,
    *consents.ENDPOINTS,
    *policies.ENDPOINTS,
    *decisions.ENDPOINTS,
    *billing.ENDPOINTS,
    *billing_disputes.ENDPOINTS,
    *waivers.ENDPOINTS,
    *rule_packages.ENDPOINTS,
    *conformance.ENDPOINTS,
    *jobs.ENDPOINTS,
    *people.ENDPOINTS,
    *door.ENDPOINTS,
    LINK,
)


def admin_router(office: Office, upstream: Upstream | None = None) -> APIRouter:
    """Every endpoint; refuses to route an operation that the table does not name."""
    router, document = APIRouter(), admin_openapi_bytes(ENDPOINTS)

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type=JSON)

    for endpoint in ENDPOINTS:
        if endpoint.operation not in office.operations.table:
            raise OperatorError(
                "staff.operations", f"{endpoint.operation} is in no row of operations.yaml."
            )
        if upstream is None or endpoint is not LINK:
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
        ask = await read_ask(office, endpoint, request)
        threads = office.threads
        if endpoint.heavy:
            # Strangers are sent away at once; they do not stand in the line of what takes long.
            await in_thread(threads, check_visitor, office, endpoint, ask)
            threads = office.heavy_threads
        answer = await in_thread(threads, serve, office, endpoint, ask)
        if isinstance(answer, File):
            return Response(answer.content, media_type=answer.media_type, headers=attached(answer))
        return Response(orjson.dumps(answer), endpoint.status, media_type=JSON)

    return route


def attached(file: File) -> dict[str, str]:
    """To be kept, not shown in the office's own pages."""
    name = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    return {"Content-Disposition": name, "X-Content-Type-Options": "nosniff"}


async def _sign_in(office: Office, request: Request) -> Response:
    """Sign in; the answer sets the cookies and says the csrf token."""
    form = await read_form(office, request, door.SignInForm)
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
    form = await read_form(office, request, door.AcceptForm)
    answer = await in_thread(office.door_threads, _explained, door.accept, office, form)
    return Response(orjson.dumps(answer), media_type=JSON)


async def _confirm(office: Office, request: Request) -> Response:
    form = await read_form(office, request, door.ConfirmForm)
    answer = await in_thread(office.door_threads, _explained, door.confirm, office, form)
    return Response(orjson.dumps(answer), media_type=JSON)


def _explained(act: Callable[[Office, Any], Any], office: Office, form: Entry) -> Any:
    """The act's answer, its errors as HTTP errors."""
    try:
        return act(office, form)
    except OperatorError as error:
        raise as_http(error) from error
