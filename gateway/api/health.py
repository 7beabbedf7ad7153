"""`/healthz` (the process lives) and `/readyz` (it could answer now). No token, no detail."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request, Response

from gateway.serving.accept import JSON

router = APIRouter()


def _state(status: str, code: int) -> Response:
    return Response(orjson.dumps({"status": status}), code, media_type=JSON)


@router.get("/healthz")
async def live() -> Response:
    """The event loop turns."""
    return _state("ok", 200)


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """Journal, directory, policy and at least one release are there, and it is known what this
    node has used (`counting`: not yet, its PostgreSQL is away)."""
    if request.app.state.ready():
        return _state("ok", 200)
    counted = request.app.state.desk.journal.counted
    return _state("failing" if counted else "counting", 503)
