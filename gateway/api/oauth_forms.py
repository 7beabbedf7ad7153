"""Bodies of OAuth requests as they are read: one plain form, or one JSON object, and nothing else.

No parameter counts that stands in the address, none may be given twice, and credentials never come
in the Authorization header of an endpoint that takes client assertions.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote_plus, unquote_plus

import orjson
from starlette.requests import ClientDisconnect, Request

from gateway.authserver.errors import Refused, invalid_request, wrong_method
from gateway.identity.assertion import ASSERTION_TYPE

FORM = "application/x-www-form-urlencoded"
_LONGEST_BODY = 32_768
_MOST_FIELDS = 30
_QUOTED_TYPE = quote_plus(ASSERTION_TYPE)  # stands in nearly every form


async def read_form(request: Request, *required: str) -> dict[str, str]:
    """The form's fields; refuses everything that is not one plain form with each name once."""
    if "authorization" in request.headers:
        raise wrong_method()
    _check_address(request)
    if _media_type(request) != FORM:
        raise invalid_request("invalid_request", f"Send the parameters as {FORM}.")
    form = parse_form(await _body(request))
    for name in required:
        if not form.get(name):
            raise invalid_request("invalid_request", f"{name} is missing.")
    return form


async def read_json(request: Request) -> Mapping[str, object]:
    """The body as one JSON object."""
    _check_address(request)
    if _media_type(request) != "application/json":
        raise _metadata("Send the metadata as application/json.")
    try:
        content = orjson.loads(await _body(request))
    except orjson.JSONDecodeError as error:
        raise _metadata("The body is not JSON.") from error
    if not isinstance(content, dict):
        raise _metadata("The body is not a JSON object.")
    return content


def read_address(request: Request, *names: str) -> tuple[str, ...]:
    """Parameters of the address, each exactly once; what else stands there is not looked at."""
    found = []
    for name in names:
        values = request.query_params.getlist(name)
        if len(values) != 1 or not values[0]:
            raise invalid_request("invalid_request", f"Give {name} once.")
        found.append(values[0])
    return tuple(found)


def _check_address(request: Request) -> None:
    if request.scope["query_string"]:
        raise invalid_request("invalid_request", "Send parameters in the body, never the address.")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(request: Request) -> bytes:
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LONGEST_BODY:
            raise invalid_request(
                "invalid_request", f"The body is longer than {_LONGEST_BODY} bytes."
            )
    return body


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form, each name once; raises with what to change."""
    try:
        fields = [field.partition("=") for field in body.decode("ascii").split("&") if field]
        if len(fields) > _MOST_FIELDS:
            raise ValueError("too many fields")
        pairs = [(_plain(name), _plain(value)) for name, _, value in fields]
    except ValueError as error:
        raise invalid_request(
            "invalid_request", "The body is not a URL-encoded form in UTF-8."
        ) from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise invalid_request("invalid_request", "A parameter is given twice.")
    return form


def _plain(text: str) -> str:
    """The text behind its URL encoding; most has none, and a signed token never has."""
    if "%" not in text and "+" not in text:
        return text
    return ASSERTION_TYPE if text == _QUOTED_TYPE else unquote_plus(text, errors="strict")


def _metadata(description: str) -> Refused:
    return Refused("invalid_client_metadata", "invalid_client_metadata", description)
