"""The outermost ring: request ids, DPoP nonces, the body limit, safe headers, one access-log line.

Pure ASGI, because a BaseHTTPMiddleware costs a hundred times more (research/performance.md).
The access log names the route, never the address or a value: addresses can carry anything.
No failure leaves as a traceback.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
import uuid
from collections.abc import Callable

import orjson
import uuid_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problems import of_error, problem
from gateway.errors import SluiceError
from gateway.identity.desk import Identity
from gateway.jobs.asking import LONGEST
from gateway.metrics import meters

BODY_LIMIT = 64 * 1024
_LARGER = {"/admin/v1/policies": 768 * 1024, "/v1/text/deidentify": 256 * 1024, "/v1/jobs": LONGEST}
"""An edition of the policy, as base64; texts, which may be written by escapes; archives of code.
Well below what a connection takes of one request, so that too much is answered and not cut off. An
edition is read only for who is signed in (`admin.asking`)."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SAFE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

_MAY_LACK_NONCE = (400, 401)

access = logging.getLogger("sluice.access")
failures = logging.getLogger("sluice.failures")


class BodyTooLarge(SluiceError):
    status = 413
    title = "The body is too large"

    def __init__(self) -> None:
        super().__init__("body_too_large", "")


class Visit:
    """What one request has shown so far, for its headers and its log line."""

    def __init__(self, headers: Headers, nonce: Callable[[], str]) -> None:
        self.nonce = nonce
        proves = headers.get("authorization", "")[:5].lower() == "dpop "
        self.uses_dpop = proves or "dpop" in headers
        self.started = time.perf_counter()
        self.request_id = str(uuid_utils.uuid7())
        given = headers.get("x-fapi-interaction-id", "")
        self.interaction_id = str(uuid.UUID(given)) if _UUID.fullmatch(given) else self.request_id
        self.status = 0
        self.sent = 0

    def watch(self, message: Message) -> None:
        """Add our headers to the response's start; count what is sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["Sluice-Request-Id"] = self.request_id
            headers["x-fapi-interaction-id"] = self.interaction_id
            if self.uses_dpop or self.status in _MAY_LACK_NONCE:
                headers["DPoP-Nonce"] = self.nonce()
            for name, value in _SAFE.items():
                headers.setdefault(name, value)
        else:
            self.sent += len(message.get("body", b""))

    def line(self, scope: Scope) -> bytes:
        """The access-log line: no address, no query, no value."""
        return orjson.dumps(
            {
                "request_id": self.request_id,
                "method": scope["method"] if scope["method"].isalpha() else "-",
                "route": _route(scope),
                "status": self.status,
                "bytes": self.sent,
                "ms": round((time.perf_counter() - self.started) * 1000, 2),
                "tenant": scope["state"].get("tenant", "-"),
            }
        )


def _route(scope: Scope) -> str:
    """The pattern that matched, or the name of what serves it; never the address itself."""
    known = getattr(scope.get("route"), "path", None) or scope["state"].get("route")
    return str(known or getattr(scope.get("endpoint"), "__name__", "-"))


def _declared_too_large(headers: Headers, limit: int) -> bool:
    length = headers.get("content-length", "0")
    return not length.isdecimal() or int(length[:12]) > limit


def _limited(receive: Receive, limit: int) -> Receive:
    """The same body, cut off with an error once it is over the limit, declared or not."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise BodyTooLarge
        return message

    return limited


def _where(error: BaseException) -> str:
    """Class and place of a failure; its message may hold values, so it is not repeated."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{frame[0].name}:{frame[0].lineno}" if frame else "-"
    return f"{type(error).__name__} in {place}"


class Edge:
    """Wraps the whole application; the only middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        identity: Identity = scope["app"].state.identity
        visit = Visit(headers, lambda: identity.proofs.nonce(identity.clock()))
        scope.setdefault("state", {})
        scope["state"].update(request_id=visit.request_id, interaction_id=visit.interaction_id)

        async def watched(message: Message) -> None:
            visit.watch(message)
            await send(message)

        await self._serve(scope, receive, watched, headers, visit)
        if visit.status:  # else the caller had gone before anything was said
            meters.responded(visit.status)
        if access.isEnabledFor(logging.INFO):
            access.info(visit.line(scope).decode())

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers, visit: Visit
    ) -> None:
        limit = _LARGER.get(scope["path"], BODY_LIMIT)
        try:
            if _declared_too_large(headers, limit):
                raise BodyTooLarge
            await self.app(scope, _limited(receive, limit), send)
        except ClientDisconnect:
            pass  # nobody is left to answer; that is no failure of ours
        except SluiceError as error:
            await of_error(error, visit.request_id)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last ring: nothing may escape as a traceback
            failures.error("request %s failed: %s", visit.request_id, _where(error))
            if not visit.status:  # else the answer has begun; the connection breaks off
                await problem("internal_error", visit.request_id)(scope, receive, send)
