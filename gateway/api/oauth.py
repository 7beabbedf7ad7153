"""HTTP of the authorisation server: token endpoint, key set, metadata.

The token endpoint reads a form body and nothing else: no query parameter, no Authorization header,
no parameter twice. The protocol runs in a worker thread, so a slow disk never holds up other
requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import Unavailable
from gateway.identity.assertion import ASSERTION_TYPE
from gateway.identity.authserver import Reply
from gateway.identity.desk import Identity
from gateway.identity.metadata import RESOURCE_PATH, resource_metadata, server_metadata

router = APIRouter(tags=["oauth"])

_LONGEST_BODY = 32_768
_MOST_FIELDS = 20
_THREADS = 32  # they share one database transaction (see `gateway.identity.replay`)

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "client_assertion_type", "client_assertion"],
                    "properties": {
                        "grant_type": {"type": "string", "const": "client_credentials"},
                        "client_assertion_type": {"type": "string", "const": ASSERTION_TYPE},
                        "client_assertion": {
                            "type": "string",
                            "pattern": "^[A-Za-z0-9_.-]+$",
                            "maxLength": 8192,
                        },
                        "client_id": {"type": "string", "maxLength": 64},
                        "resource": {"type": "string", "maxLength": 200},
                    },
                    "maxProperties": _MOST_FIELDS,
                    "additionalProperties": {"type": "string", "maxLength": 64},
                }
            }
        },
    }
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "error_description": {"type": "string"},
        "code": {"type": "string"},
    },
}
_TOKEN_SCHEMA = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"type": "string", "const": "Bearer"},
        "expires_in": {"type": "integer"},
    },
}


def _documented(description: str, schema: Mapping[str, object]) -> dict[str, Any]:
    # Any: the type FastAPI asks for
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_RESPONSES: dict[int | str, dict[str, Any]] = {  # Any: the type FastAPI asks for
    200: _documented("An access token.", _TOKEN_SCHEMA),
    400: _documented("The request is not of the documented form.", _ERROR_SCHEMA),
    401: _documented("Client authentication failed.", _ERROR_SCHEMA),
    429: _documented("Too many failed authentications.", _ERROR_SCHEMA),
    503: _documented("The directory is unavailable.", _ERROR_SCHEMA),
}


class FormRefused(ValueError):
    """The request is no form this endpoint reads; the message says what to change."""


@router.post("/oauth/token", operation_id="token", responses=_RESPONSES, openapi_extra=_FORM)
async def token(request: Request) -> JSONResponse:
    """Exchange a client assertion for an access token."""
    identity = _identity(request)
    if "authorization" in request.headers:
        return _answer(_WRONG_METHOD)
    try:
        form = await _read_form(request)
    except FormRefused as error:
        return _answer(_refusal(400, "invalid_request", str(error)))
    ip = request.client.host if request.client else ""
    try:
        reply = await anyio.to_thread.run_sync(
            identity.tokens.respond, form, ip, identity.clock(), limiter=_limiter(request)
        )
    except (SQLAlchemyError, Unavailable):
        reply = _refusal(503, "temporarily_unavailable", "Try again in a few seconds.")
    return _answer(reply)


@router.get("/oauth/jwks", operation_id="jwks")
async def jwks(request: Request) -> JSONResponse:
    """Public keys that verify access tokens: the signing one, its successor, retired ones."""
    ring = _identity(request).ring()
    return JSONResponse(ring.jwks, headers={"Cache-Control": "public, max-age=60"})


@router.get("/.well-known/oauth-authorization-server", operation_id="server_metadata")
async def authorization_server(request: Request) -> JSONResponse:
    """RFC 8414 metadata."""
    return JSONResponse(server_metadata(_identity(request).issuer))


@router.get("/.well-known/oauth-protected-resource", include_in_schema=False)
@router.get(
    f"/.well-known/oauth-protected-resource{RESOURCE_PATH}", operation_id="resource_metadata"
)
async def protected_resource(request: Request) -> JSONResponse:
    """RFC 9728 metadata."""
    return JSONResponse(resource_metadata(_identity(request).issuer))


def _identity(request: Request) -> Identity:
    identity: Identity = request.app.state.identity
    return identity


def _limiter(request: Request) -> anyio.CapacityLimiter:
    """Its own threads, so a rush for tokens never takes those of other work; one per app."""
    state = request.app.state
    if not hasattr(state, "token_threads"):
        state.token_threads = anyio.CapacityLimiter(_THREADS)
    limiter: anyio.CapacityLimiter = state.token_threads
    return limiter


async def _read_form(request: Request) -> dict[str, str]:
    """The form's fields; refuses everything that is not one plain form with each name once."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise FormRefused("Send the parameters as application/x-www-form-urlencoded.")
    if request.url.query:
        raise FormRefused("Send parameters in the body, never in the address.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise FormRefused(f"The body is longer than {_LONGEST_BODY} bytes.")
    return _parse(bytes(body))


def _parse(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise FormRefused("The body is not a URL-encoded form in UTF-8.") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise FormRefused("A parameter is given twice.")
    if not form.get("grant_type"):
        raise FormRefused("grant_type is missing.")
    return form


def _refusal(status: int, error: str, description: str) -> Reply:
    return Reply(status, {"error": error, "error_description": description, "code": error})


_WRONG_METHOD = Reply(
    401,
    {
        "error": "invalid_client",
        "error_description": "Authenticate with a client assertion (private_key_jwt) only.",
        "code": "client_method",
    },
    # RFC 6749 §5.2: who tried the header is answered with a challenge.
    {"Cache-Control": "no-store", "Pragma": "no-cache", "WWW-Authenticate": "private_key_jwt"},
)


def _answer(reply: Reply) -> JSONResponse:
    return JSONResponse(dict(reply.body), reply.status, dict(reply.headers))
