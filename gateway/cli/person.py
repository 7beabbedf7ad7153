"""`sluice person`: fill the source that services about one person are answered from."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.load import load_catalogue
from gateway.consent.subjects import open_subjects
from gateway.db.dsn import read_dsn
from gateway.persons.building import Show, build_file, build_schema
from gateway.persons.keeping import kept_by
from gateway.persons.loading import Loaded, Warehouse
from gateway.settings import Settings
from gateway.warehouse.store import current

app = typer.Typer(help="The source of services about one person.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Dsn = Annotated[
    Path | None,
    typer.Option(help="File with the DSN of the role that may load; without it, a file of home."),
]
Reader = Annotated[str, typer.Option(help="PostgreSQL role the gateway reads as.")]


@app.callback()
def _group() -> None:
    """Keeps `person` a group."""


@app.command()
def load(
    *, dsn_file: Dsn = None, reader: Reader = "sluice_person_reader", as_json: Json = False
) -> None:
    """Copy what may be told of persons from the current warehouse; readers see old or new."""
    loaded = load_current(Settings(), dsn_file, reader, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps({"load": loaded.load, "rows": dict(loaded.rows)}))
        return
    for table, number in loaded.rows.items():
        typer.echo(f"{table:<20} {number:>12,}")
    typer.echo(f"{loaded.load} is in force.")


def load_current(
    settings: Settings,
    dsn_file: Path | None,
    reader: str,
    now: datetime,
    show: Show = lambda table: None,
) -> Loaded:
    """Load the current warehouse into the file of the home, or behind the DSN."""
    kept = kept_by(settings.policies, load_catalogue(settings.policies))
    folder = current(settings.warehouse)
    with Warehouse(folder, kept, open_subjects(settings.keys)) as warehouse:
        if dsn_file is None:
            return build_file(settings.persons, warehouse, now, show)
        return asyncio.run(build_schema(read_dsn(dsn_file), reader, warehouse, now, show))
