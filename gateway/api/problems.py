"""Problem documents (RFC 9457): the only place where an error or a refusal becomes HTTP.

Every problem carries a stable code, a sentence in English and Chinese and the request id; a policy
refusal also its deny codes. Nothing of the request's values, no traceback, no person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.errors import SluiceError
from gateway.serving.reasons import reason, reasons

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "5"
_PLAIN = re.compile(r"(?!.*\d{6})[A-Za-z_][A-Za-z0-9_-]{0,39}", re.ASCII)
_HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def problem(
    code: str,
    request_id: str,
    *,
    status: int | None = None,
    detail: str = "",
    zh: str = "",
    deny: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for one code; a specific `detail` replaces the table's sentence."""
    entry, reasons_against = reason(code), list(deny)
    status = status or entry.status
    body: dict[str, object] = {
        "type": f"urn:sluice:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or entry.en,
        "detail_zh": zh or entry.zh,
        "code": code,
        "request_id": request_id,
    }
    if reasons_against:
        body["deny"] = reasons_against
        body["reasons"] = [
            {"code": one, "en": reason(one).en, "zh": reason(one).zh} for one in reasons_against
        ]
    sent = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent.setdefault("Retry-After", RETRY_SECONDS)
    return Response(orjson.dumps(body), status, sent, MEDIA_TYPE)


def of_error(error: SluiceError, request_id: str) -> Response:
    """The response for an error of our own tree; its status comes from the table where listed."""
    listed = error.code in reasons()
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        challenge = error.extra.get("www_authenticate")
        headers["WWW-Authenticate"] = str(challenge or 'Bearer realm="sluice"')
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    fallback = reason("internal_error" if error.status >= 500 else "bad_request")
    return problem(
        error.code,
        request_id,
        status=None if listed else error.status,
        detail=error.message or ("" if listed else fallback.en),
        zh=error.zh or ("" if listed else fallback.zh),
        headers=headers,
    )


def request_id(request: Request) -> str:
    """The id the edge gave this request."""
    return str(request.scope["state"]["request_id"])


async def _of_sluice(request: Request, error: Exception) -> Response:
    if not isinstance(error, SluiceError):
        raise error
    return of_error(error, request_id(request))


async def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _HTTP_CODES.get(error.status_code, "bad_request")
    status = None if error.status_code in _HTTP_CODES else error.status_code
    return problem(code, request_id(request), status=status, headers=error.headers)


async def _of_validation(request: Request, error: Exception) -> Response:
    """Which parameter is wrong; never the value it had, nor a name that may hold one."""
    if not isinstance(error, RequestValidationError):
        raise error
    wrong = ", ".join(".".join(map(_named, one["loc"])) for one in error.errors()[:5])
    return problem("invalid_parameter", request_id(request), detail=f"Not valid: {wrong}.")


def _named(part: object) -> str:
    """A step on the way to a parameter; callers make up names, and a person's number may be one."""
    told = str(part)
    return told if isinstance(part, int) or _PLAIN.fullmatch(told) else "(unknown)"


def install(app: FastAPI) -> None:
    """Render every error of the application as a problem document."""
    app.add_exception_handler(SluiceError, _of_sluice)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
