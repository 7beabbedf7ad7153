"""One span per request, around everything else: method, route pattern, status, our request id."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.edge import route_of
from gateway.tracing import server_span, told

_CARRIED = ("traceparent",)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Traced:
    """ASGI middleware; installed only where spans are made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        carrier = {name: headers[name] for name in _CARRIED if name in headers}
        seen: dict[str, str | int] = {}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["http.response.status_code"] = message["status"]
                own = Headers(raw=message["headers"]).get("sluice-request-id", "")
                seen["sluice.request_id"] = own
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with server_span(method, carrier, http__request__method=method) as span:
            try:
                return await self._app(scope, receive, watched)
            finally:
                # The pattern, never the address: an address can carry anything.
                route = route_of(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes(told({**seen, "http.route": route}))
