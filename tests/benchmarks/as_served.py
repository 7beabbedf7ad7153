"""Serving an application on loopback as `sluice serve` does, without an access log."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from gateway.api import collector
from gateway.api.connection import GatewayProtocol


def run(app: FastAPI, port: int) -> None:
    """Serve until told to stop."""
    collector.settle()
    uvicorn.run(
        app,
        port=port,
        loop="gateway.api.connection:GatewayLoop",
        http=GatewayProtocol,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
