"""`sluice serve`: the gateway as one process on one address."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from gateway import logs
from gateway.api import collector
from gateway.api.connection import GatewayProtocol, tls_options
from gateway.api.openapi import VERSION
from gateway.app import create_app
from gateway.cli.office import act_now, office, record_act
from gateway.db.chains import digest
from gateway.identity.model import Document
from gateway.keystore.book import open_book
from gateway.masking.rows import check_row_masks
from gateway.settings import Settings

GRACE_SECONDS = 10


def _check_masks(settings: Settings) -> None:
    """An unmapped column, an unknown mask or a missing key: no start."""
    check_row_masks(settings.policies)
    with office(settings) as engine:
        open_book(engine, settings, datetime.now(UTC))


def _record_start(settings: Settings) -> None:
    """With which configuration this process serves: names and a digest, never a secret's value."""
    told = settings.model_dump(mode="json")
    named: Document = {"settings": sorted(settings.model_fields_set), "digest": digest(told)}
    act = act_now("", f"node {settings.node}, version {VERSION}")
    record_act(settings, act, "serve", ("settings", settings.node), named)


def verb(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; default from settings.")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on; default from settings.")] = 0,
    tls_cert: Annotated[Path | None, typer.Option(help="Server certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="CA of client certificates (PEM); asks clients for one.")
    ] = None,
    access_log: Annotated[bool, typer.Option(help="One JSON line per request.")] = True,
) -> None:
    """Serve the data services until told to stop; what is running is finished and recorded."""
    named = {
        "host": host,
        "port": port,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "client_ca": client_ca,
    }
    given = {key: value for key, value in named.items() if value}
    settings = Settings(**given)  # type: ignore[arg-type]  # checked by Settings itself
    _check_masks(settings)
    _record_start(settings)
    logs.install(access=access_log)
    app = create_app(settings)
    collector.settle()
    typer.echo(f"Sluice listens on {settings.base_url}", err=True)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="gateway.api.connection:GatewayLoop",
        http=GatewayProtocol,
        **tls_options(settings.tls_cert, settings.tls_key, settings.client_ca),
        ws="none",
        access_log=False,
        log_config=None,  # it would give its loggers handlers of their own
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # `gateway.api.presented` knows whose headers may be believed
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
