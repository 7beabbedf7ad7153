"""`sluice release loss`: what complementary suppression keeps, against the naive rule."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.office import by_edition
from gateway.errors import OperatorError
from gateway.releases.loss import Kept, losses
from gateway.settings import Settings


def release_loss(
    services: Annotated[
        list[str] | None, typer.Argument(help="Ids; with each, all it is linked with. All if none.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Protect the current warehouse twice and print what each way keeps. Publishes nothing."""
    try:
        with by_edition(Settings()) as live:
            found = losses(
                live, tuple(services or ()), datetime.now(UTC), lambda at: typer.echo(at, err=True)
            )
    except OperatorError as error:
        typer.echo(f"{error.code}: {error.message}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
    else:
        Console().print(_table(found))


def _table(found: list[Kept]) -> Table:
    table = Table("service", "profile", "cells fit", "naive", "kept", "amount naive", "amount kept")
    for one in found:
        whole = max(1, one.fit[1])
        table.add_row(
            one.service,
            one.profile,
            f"{one.fit[0]:,}",
            f"{one.naive[0]:,}",
            f"{one.kept[0]:,}",
            f"{one.naive[1] / whole:.2%}",
            f"{one.kept[1] / whole:.2%}",
        )
    return table
