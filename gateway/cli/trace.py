"""`sluice trace`: fill the source that packs are looked up in, list packs sold more than once."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Annotated

import typer

from gateway.identity.secrets import secret
from gateway.settings import Settings
from gateway.traces.loading import load_traces, resold
from gateway.traces.source import SECRET
from gateway.warehouse.store import current

app = typer.Typer(help="Trace codes of packs (S23).", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command()
def load(*, as_json: Json = False) -> None:
    """Copy what became of packs from the current warehouse; readers see old or new."""
    settings = Settings()
    folder, key = current(settings.warehouse), secret(settings.keys, SECRET)
    loaded = load_traces(folder, settings.traces, key, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(asdict(loaded)))
        return
    typer.echo(f"{loaded.load}  {loaded.packs:,} packs of {loaded.products:,} products")
    if loaded.resold:
        typer.echo(f"{loaded.resold:,} packs were sold more than once: `sluice trace clues`.")


@app.command()
def clues(*, as_json: Json = False) -> None:
    """For the bureau: packs sold more than once, with every sale of them; exit 1 where there are
    some."""
    found = groupby(resold(current(Settings().warehouse)), key=attrgetter("code"))
    told = [{"code": code, "sales": [sale.document() for sale in sales]} for code, sales in found]
    if as_json:
        typer.echo(json.dumps(told))
    else:
        for each in told:
            typer.echo(f"{each['code']}  {len(each['sales'])} sales")
            for sale in each["sales"]:
                typer.echo(f"  {sale['sold_at']}  {sale['fixmedins_code']}  {sale['sel_sn']}")
    if told:
        raise typer.Exit(1)
