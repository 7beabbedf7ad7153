"""Faults on demand, in a sandbox alone: answers as they look when something is wrong for real.

A request names one in the header `Sluice-Sandbox-Fault`, or its client has set one for its next
calls. Who asks is read from a token of ours that is still good. Nothing was looked up, charged or
recorded when a fault is answered in the gateway's place; a slow or drifted answer is a real one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Final

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problems import problem
from gateway.api.shown_token import our_claims
from gateway.errors import BadRequest
from gateway.identity.desk import Identity

HEADER: Final = "sluice-sandbox-fault"
MARK: Final = (b"sluice-data", b"synthetic")
SLOW_SECONDS: Final = 10.0
DRIFT: Final = "drifted_in_sandbox"
"""The member that a drifted answer has and its schema does not."""
_WAIT: Final = {"Retry-After": "2"}
_MOST_CLIENTS: Final = 10_000
_OWN: Final = ("/v1/sandbox", "/v1/conformance", "/v1/portal")


class Fault(StrEnum):
    """What can be wrong."""

    RATE_LIMITED = "rate_limited"  # 429, D801, Retry-After
    UNAVAILABLE = "unavailable"  # 503, Retry-After
    SLOW = "slow"  # the right answer, ten seconds late
    SCHEMA_DRIFT = "schema_drift"  # a contract of the next major version: renamed, retyped, added


@dataclass
class FaultPlans:
    """What clients have set for their own next calls; kept by this process."""

    _plans: OrderedDict[str, tuple[Fault, int]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def plan(self, client: str, fault: Fault, times: int) -> None:
        """The client's next so many calls go wrong; replaces what was set before."""
        with self._lock:
            self._plans.pop(client, None)
            self._plans[client] = (fault, times)
            if len(self._plans) > _MOST_CLIENTS:
                self._plans.popitem(last=False)

    def clear(self, client: str) -> None:
        """The client's calls go right again."""
        with self._lock:
            self._plans.pop(client, None)

    def of(self, client: str) -> tuple[Fault, int] | None:
        """What is set, and for how many calls more."""
        return self._plans.get(client)

    def take(self, client: str) -> Fault | None:
        """The fault of this call."""
        with self._lock:
            fault, left = self._plans.pop(client, (None, 0))
            if fault is not None and left > 1:
                self._plans[client] = (fault, left - 1)
        return fault


class Faults:
    """Stands inside the edge of a sandbox; elsewhere there is none."""

    def __init__(self, app: ASGIApp, plans: FaultPlans) -> None:
        self.app, self._plans = app, plans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._wanted(scope) if scope["type"] == "http" else None
        match fault:
            case Fault.RATE_LIMITED | Fault.UNAVAILABLE:
                await _refused(fault, scope)(scope, receive, send)
            case Fault.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
                await self.app(scope, receive, send)
            case Fault.SCHEMA_DRIFT:
                await self.app(scope, receive, _Drifting(send))
            case None:
                await self.app(scope, receive, send)

    def _wanted(self, scope: Scope) -> Fault | None:
        """What the caller asked for; raises `BadRequest` for a fault there is not."""
        path = scope["path"]
        if not path.startswith("/v1/") or path.startswith(_OWN):
            return None
        headers = Headers(scope=scope)
        client = _client(headers, scope["app"].state.identity)
        if not client:
            return None
        named = headers.get(HEADER)
        if named is None:
            return self._plans.take(client)
        try:
            return Fault(named)
        except ValueError:
            known = ", ".join(Fault)
            raise BadRequest(
                "sandbox_fault", f"{HEADER} is one of: {known}.", f"可选故障：{known}。"
            ) from None


class Marked:
    """Outside everything else of a sandbox: each answer says that it is about nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), MARK]
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)


def _refused(fault: Fault, scope: Scope) -> Response:
    request_id = str(scope["state"]["request_id"])
    if fault is Fault.RATE_LIMITED:
        return problem("refused", request_id, status=429, deny=["D801"], headers=_WAIT)
    return problem("release_unavailable", request_id)


class _Drifting:
    """Holds a JSON answer back until it is whole, and sends it as a later contract would be."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._pieces: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            told = Headers(raw=message["headers"]).get("content-type", "")
            if message["status"] == 200 and told.startswith("application/json"):
                self._start = dict(message)
                return
        if not self._start:
            await self._send(message)
            return
        self._pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            body = drifted(b"".join(self._pieces))
            MutableHeaders(raw=self._start["headers"])["content-length"] = str(len(body))
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": body})


def drifted(body: bytes) -> bytes:
    """An answer after a change nobody announced: the first field of every row has another name, the
    second is a text, a member is new, and the contract says it is of the next major version."""
    told = orjson.loads(body)
    if not isinstance(told, dict):
        return body
    rows = told.get("data")
    if isinstance(rows, list):
        told["data"] = [_other_row(row) if isinstance(row, dict) else row for row in rows]
    service = told.get("meta", {}).get("service") if isinstance(told.get("meta"), dict) else None
    if isinstance(service, dict) and str(service.get("version", "")).partition(".")[0].isdecimal():
        service["version"] = f"{int(str(service['version']).partition('.')[0]) + 1}.0.0"
    return orjson.dumps(told | {DRIFT: True})


def _other_row(row: dict[str, object]) -> dict[str, object]:
    changed = {}
    for place, (name, value) in enumerate(row.items()):
        changed[f"{name}_new" if place == 0 else name] = str(value) if place == 1 else value
    return changed


def _client(headers: Headers, identity: Identity) -> str:
    """Whose good token of ours is shown; the application itself asks for its proof."""
    claims = our_claims(headers, identity)
    ends, client = claims.get("exp"), str(claims.get("client_id", ""))
    live = isinstance(ends, int) and identity.clock().timestamp() < ends
    return client if live and client in identity.directory.snapshot.live_clients else ""
