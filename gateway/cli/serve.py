"""`sluice serve`: the gateway as one process on one address."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer
import uvicorn

from gateway.app import create_app
from gateway.settings import Settings

GRACE_SECONDS = 10


def _log_to_stderr(access: bool) -> None:
    """Plain lines on standard error; the access log is JSON already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("sluice.access")
    log.handlers, log.propagate = [lines], False
    log.setLevel(logging.INFO if access else logging.WARNING)


def verb(
    host: Annotated[str, typer.Option(help="Address to listen on; default from settings.")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on; default from settings.")] = 0,
    access_log: Annotated[bool, typer.Option(help="One JSON line per request.")] = True,
) -> None:
    """Serve the data services until told to stop; what is running is finished and recorded."""
    given = {key: value for key, value in (("host", host), ("port", port)) if value}
    settings = Settings(**given)  # type: ignore[arg-type]  # checked by Settings itself
    _log_to_stderr(access_log)
    app = create_app(settings)
    typer.echo(f"Sluice listens on {settings.base_url}", err=True)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # the address of a caller is the connection's, never a header's
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
