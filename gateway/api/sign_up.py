"""`POST /v1/sandbox/developers`: a developer signs up and has an application, in the sandbox alone.

No proof is asked for: who comes brings a public key, and gets a client that only its private half
can use, of an organisation of its own, on synthetic data. So many an hour from one address.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gateway.api.presented import presented
from gateway.db.engine import writing
from gateway.errors import BadRequest, NotFound, OperatorError, TooMany
from gateway.identity.changes import current_boundaries
from gateway.identity.desk import Identity
from gateway.identity.entries import Line, Uscc
from gateway.identity.joining import Joined, Newcomer, join
from gateway.identity.record import Act
from gateway.serving.accept import JSON
from gateway.serving.reasons import UnsupportedMedia
from gateway.settings import Settings

router = APIRouter(prefix="/v1/sandbox", tags=["sandbox"])
AN_HOUR: Final = 20
"""Sign-ups from one address."""
_HOUR: Final = 3600.0
_MOST_ADDRESSES: Final = 10_000


class Developer(BaseModel):
    """Who signs up, and the public keys of the first client (a JWK set). A data office accepts
    conformance reports only of the organisation whose credit number (`uscc`) they name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organisation: Line
    jwks: Annotated[dict[str, object], Field(max_length=4)]
    uscc: Uscc = ""


@dataclass
class Turnstile:
    """How often each address came lately."""

    _came: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def admit(self, address: str, now: float) -> None:
        """Raises `TooMany` for an address that came too often within the hour."""
        with self._lock:
            lately = [each for each in self._came.pop(address, []) if now - each < _HOUR]
            self._came[address] = lately
            if len(self._came) > _MOST_ADDRESSES:
                self._came.popitem(last=False)
            if len(lately) >= AN_HOUR:
                raise TooMany(
                    "sandbox_sign_ups",
                    "Too many sign-ups from this address; try again in an hour.",
                    "该地址注册过于频繁，请一小时后再试。",
                    retry_after=int(_HOUR),
                )
            lately.append(now)


def install(app: FastAPI, settings: Settings) -> None:
    """Add the route."""
    app.state.turnstile = Turnstile() if settings.env == "sandbox" else None
    app.include_router(router)


def _turnstile(request: Request) -> Turnstile:
    """Of a sandbox; outside, the address is not there, whatever is sent to it."""
    turnstile: Turnstile | None = request.app.state.turnstile
    if turnstile is None:
        raise NotFound("sandbox_only", "Only the sandbox has self-service.", "仅沙箱可自助注册。")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    return turnstile


@router.post("/developers")
async def sign_up(
    request: Request, wanted: Developer, turnstile: Annotated[Turnstile, Depends(_turnstile)]
) -> Response:
    """An organisation, a client with these keys, and a grant for every service of the sandbox."""
    turnstile.admit(presented(request).ip, time.monotonic())
    made = await run_in_threadpool(_joined, request, wanted)
    told = {
        "organisation_id": made.tenant_id,
        "client_id": made.client_id,
        "grant_id": made.grant_id,
        "purpose": "development_and_testing",
    }
    return Response(orjson.dumps(told), 201, media_type=JSON)


def _joined(request: Request, wanted: Developer) -> Joined:
    identity: Identity = request.app.state.identity
    act = Act("sandbox", identity.clock(), "self-service")
    newcomer = Newcomer(wanted.organisation, wanted.jwks, presented(request).ip, wanted.uscc)
    try:
        with writing(identity.engine) as session:
            bounds = current_boundaries(session, identity.directory.bounds)
            made = join(session, act, newcomer, bounds)
    except OperatorError as error:
        raise BadRequest("invalid_parameter", error.message) from error
    identity.directory.refresh()
    return made
