"""What the OAuth endpoints share: the office, its threads, and a reply as HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import anyio
import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.authserver.model import NO_STORE, Reply
from gateway.authserver.office import Office

_THREADS = 32  # of which those that write wait for one another's transaction
_CHALLENGE = {"client_method": {"WWW-Authenticate": "private_key_jwt"}}
_UNAVAILABLE: Mapping[str, object] = {
    "error": "temporarily_unavailable",
    "error_description": "Try again in a few seconds.",
    "code": "temporarily_unavailable",
}

Result = TypeVar("Result")


def office(request: Request) -> Office:
    """The authorisation server of this application."""
    found: Office = request.app.state.oauth
    return found


async def in_thread(request: Request, act: Callable[[], Result]) -> Result:
    """Run it in a worker thread of the OAuth endpoints' own, so that a rush for tokens never takes
    the threads of other work."""
    state = request.app.state
    if not hasattr(state, "token_threads"):
        state.token_threads = anyio.CapacityLimiter(_THREADS)
    limiter: anyio.CapacityLimiter = state.token_threads
    return await anyio.to_thread.run_sync(act, limiter=limiter)


def respond(reply: Reply) -> Response:
    """A reply as HTTP."""
    headers = dict(reply.headers)
    if reply.text is not None:
        return Response(reply.text, reply.status, headers)
    headers |= _CHALLENGE.get(str(reply.body.get("code")), {})
    return Response(orjson.dumps(reply.body), reply.status, headers, "application/json")


def unavailable() -> Response:
    """Something the answer depends on is down: nothing left."""
    return respond(Reply(503, _UNAVAILABLE, {**NO_STORE, "Retry-After": "5"}))
