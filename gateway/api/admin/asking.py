"""What a request to the office brings: its body as JSON or as a form, its cookies and headers."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request

from gateway.api.admin.cookies import session_cookie
from gateway.api.admin.endpoint import Ask, Endpoint, as_http, check_visitor
from gateway.api.admin.office import Office
from gateway.api.edge import BODY_LIMIT
from gateway.api.presented import source
from gateway.api.threads import in_thread
from gateway.errors import BadRequest, Forbidden, OperatorError
from gateway.identity.entries import Entry, check_entry
from gateway.identity.record import Source
from gateway.serving.reasons import UnsupportedMedia

JSON = "application/json"
_SAME = frozenset({"same-origin", "none"})

FormType = TypeVar("FormType", bound=Entry)


async def read_ask(office: Office, endpoint: Endpoint, request: Request) -> Ask:
    """The request as `serve` takes it."""
    ask = Ask(
        token=request.cookies.get(session_cookie(office), ""),
        csrf=request.headers.get("sluice-csrf", ""),
        at=request.path_params,
        query=request.query_params,
        source=source_of(request),
    )
    if endpoint.method == "GET":
        return ask
    check_same_site(office, request)
    if _may_be_large(request):
        # A stranger's body is not taken into memory: who asks is looked at first.
        await in_thread(office.threads, check_visitor, office, endpoint, ask)
    return replace(ask, body=await _body(request))


def source_of(request: Request) -> Source:
    """Where a request comes from, as the audit keeps it."""
    state = request.scope["state"]
    return Source(ip=source(request), request_id=state["request_id"], trace_id=state["trace_id"])


async def read_form(office: Office, request: Request, form: type[FormType]) -> FormType:
    """The body as a form of ours; raises what is wrong with it."""
    check_same_site(office, request)
    content = await _body(request)
    try:
        return check_entry(form, content, "body")
    except OperatorError as error:
        raise as_http(error) from error


def _may_be_large(request: Request) -> bool:
    """More than any request may bring, or of unsaid length."""
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length[:12]) > BODY_LIMIT


async def _body(request: Request) -> object:
    """The JSON body; another media type is what a foreign page's form could send, so it is not."""
    body = await request.body()
    if not body and "content-type" not in request.headers:
        return {}
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest("malformed_json", "") from error


def check_same_site(office: Office, request: Request) -> None:
    """Refuse what a browser says another site has caused."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    ours = urlsplit(office.issuer)
    if site not in _SAME or (origin is not None and origin != f"{ours.scheme}://{ours.netloc}"):
        raise Forbidden(
            "csrf", "Another site caused this request.", "该请求来自其他网站，已被拒绝。"
        )
