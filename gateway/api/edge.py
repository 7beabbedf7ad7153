"""The outermost ring: request ids, traces, DPoP nonces, limits, safe headers, one access-log line.

Pure ASGI, because a BaseHTTPMiddleware costs a hundred times more (research/performance.md).
The access log names the route, never the address or a value: addresses can carry anything.
No failure leaves as a traceback.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable

import orjson
import uuid_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.admission import STRANGER, check_head, check_names, kind_of, open_places, stranger
from gateway.api.headers import SAFE, STRICT_TRANSPORT
from gateway.api.problems import of_error, problem
from gateway.api.signing import SignedAnswer, digested
from gateway.api.tracing import trace_id, trace_response
from gateway.errors import SluiceError, Unavailable
from gateway.identity.desk import Identity
from gateway.jobs.asking import LONGEST
from gateway.logs import ACCESS, place
from gateway.metrics import meters
from gateway.serving.places import entering

BODY_LIMIT = 64 * 1024
_LEAK = 12 * 1024 * 1024
_LARGER = {
    "/admin/v1/policies": 768 * 1024,
    "/admin/v1/watermarks/trace": _LEAK,
    "/console/do/edition.push": 768 * 1024,
    "/console/do/watermark.trace": _LEAK,
    "/v1/text/deidentify": 256 * 1024,
    "/v1/jobs": LONGEST,
}
"""An edition of the policy, as base64; texts, which may be written by escapes; archives of code.
Well below what a connection takes of one request, so that too much is answered and not cut off. An
edition and a leaked file are read only for who is signed in (`admin.asking`, `console.routes`)."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ANSWER_SECONDS = 60.0
"""From a request's arrival to the beginning of its answer; whoever waits longer has gone."""

_BEGINS_JSON = (b"{", b"[")
_MAY_LACK_NONCE = (400, 401)

access = logging.getLogger(ACCESS)
failures = logging.getLogger("sluice.failures")


class BodyTooLarge(SluiceError):
    status = 413
    title = "The body is too large"

    def __init__(self) -> None:
        super().__init__("body_too_large", "")


class TimedOut(Unavailable):
    def __init__(self) -> None:
        super().__init__("timed_out", "")


class Visit:
    """What one request has shown so far, for its headers and its log line."""

    def __init__(self, headers: Headers, nonce: Callable[[], str], *, secure: bool) -> None:
        self.nonce, self.secure = nonce, secure
        self.begun: Callable[[], None] = _nothing
        proves = headers.get("authorization", "")[:5].lower() == "dpop "
        self.uses_dpop = proves or "dpop" in headers or "signature-input" in headers
        self.started = time.perf_counter()
        self.request_id = str(uuid_utils.uuid7())
        given = headers.get("x-fapi-interaction-id", "")
        self.interaction_id = str(uuid.UUID(given)) if _UUID.fullmatch(given) else self.request_id
        self.trace_id = trace_id(headers.getlist("traceparent"), self.request_id)
        self.status = 0
        self.sent = 0

    def watch(self, message: Message) -> None:
        """Add our headers to the response's start; count what is sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun()
            headers = MutableHeaders(scope=message)
            headers["Sluice-Request-Id"] = self.request_id
            headers["x-fapi-interaction-id"] = self.interaction_id
            if self.uses_dpop or self.status in _MAY_LACK_NONCE:
                headers["DPoP-Nonce"] = self.nonce()
            headers["traceresponse"] = trace_response(self.trace_id, self.request_id)
            for name, value in SAFE.items():
                headers.setdefault(name, value)
            if self.secure:
                headers["Strict-Transport-Security"] = STRICT_TRANSPORT
        else:
            self.sent += len(message.get("body", b""))

    def line(self, scope: Scope) -> bytes:
        """The access-log line: no address, no query, no value, no id that the caller chose."""
        return orjson.dumps(
            {
                "request_id": self.request_id,
                "method": scope["method"] if scope["method"].isalpha() else "-",
                "route": route_of(scope),
                "status": self.status,
                "bytes": self.sent,
                "ms": round((time.perf_counter() - self.started) * 1000, 2),
                "tenant": scope["state"].get("tenant", "-"),
            }
        )


def _nothing() -> None:
    pass


def route_of(scope: Scope) -> str:
    """The pattern that matched, or the name of what serves it; never the address itself."""
    known = getattr(scope.get("route"), "path", None) or scope["state"].get("route")
    return str(known or getattr(scope.get("endpoint"), "__name__", "-"))


def _declared_too_large(headers: Headers, limit: int) -> bool:
    length = headers.get("content-length", "0")
    return not length.isdecimal() or int(length[:12]) > limit


def _checked(receive: Receive, limit: int) -> Receive:
    """The same body, cut off with an error once it is over the limit, declared or not; one of JSON
    is looked at as a whole before its end is handed on."""
    seen = 0
    pieces: list[bytes] = []
    is_json: bool | None = None  # not known before anything but white space came

    async def checked() -> Message:
        nonlocal seen, is_json
        message = await receive()
        piece = message.get("body", b"")
        seen += len(piece)
        if seen > limit:
            raise BodyTooLarge
        if is_json is None and (first := piece.lstrip()[:1]):
            is_json = first in _BEGINS_JSON
        if is_json:
            pieces.append(piece)
            if not message.get("more_body", False):
                check_names(b"".join(pieces))
        return message

    return checked


class Edge:
    """Wraps the whole application; the only middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._places = open_places()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        identity: Identity = scope["app"].state.identity
        visit = Visit(
            headers,
            lambda: identity.proofs.nonce(identity.clock()),
            secure=identity.issuer.startswith("https:"),
        )
        scope.setdefault("state", {})
        scope["state"].update(
            request_id=visit.request_id,
            interaction_id=visit.interaction_id,
            trace_id=visit.trace_id,
            started=visit.started,
        )

        async def watched(message: Message) -> None:
            visit.watch(message)
            await send(message)

        way = SignedAnswer(scope, watched) if "accept-signature" in headers else watched
        await self._serve(scope, receive, way, headers, visit)
        if visit.status:  # else the caller had gone before anything was said
            meters.responded(visit.status)
        if access.isEnabledFor(logging.INFO):
            access.info(visit.line(scope).decode())

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers, visit: Visit
    ) -> None:
        limit = _LARGER.get(scope["path"], BODY_LIMIT)
        try:
            check_head(scope, headers)
            if _declared_too_large(headers, limit):
                raise BodyTooLarge
            body = _checked(receive, limit)
            if stated := ", ".join(headers.getlist("content-digest")):
                body = digested(body, stated)
            await self._work(scope, body, send, visit)
        except ClientDisconnect:
            pass  # nobody is left to answer; that is no failure of ours
        except SluiceError as error:
            await of_error(error, visit.request_id)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last ring: nothing may escape as a traceback
            failures.error("request %s failed: %s", visit.request_id, place(error))
            if not visit.status:  # else the answer has begun; the connection breaks off
                await problem("internal_error", visit.request_id)(scope, receive, send)

    async def _work(self, scope: Scope, receive: Receive, send: Send, visit: Visit) -> None:
        """Let the application answer, with a place of its class and until its time is up."""
        kind = kind_of(scope["path"])
        if kind is None:
            await self.app(scope, receive, send)
            return
        with entering(self._places[kind]) as entrance:
            if kind == STRANGER:
                entrance.admit(stranger(scope))
            await self._in_time(scope, receive, send, visit)

    async def _in_time(self, scope: Scope, receive: Receive, send: Send, visit: Visit) -> None:
        """Raises `TimedOut` for an answer that has not begun; one that has may take its time, as
        long as its reader does not (`gateway.api.connection`)."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS) as limit:
                visit.begun = lambda: limit.reschedule(None)
                await self.app(scope, receive, send)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimedOut from None
        finally:
            visit.begun = _nothing
