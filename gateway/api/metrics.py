"""`GET /metrics`: this process's figures in Prometheus' text form.

Served only when a token file is configured, and only to who shows that token. Prometheus asks every
process at its own address, not through a load balancer: a figure is one process's own.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.api.token_door import require_token
from gateway.errors import Unauthenticated
from gateway.metrics import Meters

PATH = "/metrics"


def metrics_router(meters: Meters, token: str) -> APIRouter:
    """The endpoint for those who know `token`."""
    router = APIRouter()

    @router.get(PATH)
    async def metrics(request: Request) -> Response:
        require_token(request, token, _refusal())
        meters.ready(request.app.state.ready())
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router


def _refusal() -> Unauthenticated:
    return Unauthenticated(
        "metrics_token",
        "Show the metrics token as a bearer token.",
        "请以 Bearer 方式出示监控令牌。",
    )
