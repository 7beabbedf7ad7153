"""`sluice quality`: report on a warehouse, compare two, sign waivers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import quality_waiver
from gateway.cli.office import Json
from gateway.cli.quality_drift import drift
from gateway.errors import OperatorError
from gateway.quality.duties import read_duties
from gateway.quality.page import lines, render
from gateway.quality.report import make_report
from gateway.settings import Settings
from gateway.warehouse.store import current
from synthetic.integrity.appraisal import appraise
from synthetic.integrity.model import WarehouseUnreadable

app = typer.Typer(help="Data quality: reports, drift, signed waivers.", no_args_is_help=True)
app.add_typer(quality_waiver.app, name="waiver")
app.command("drift")(drift)


@app.command()
def report(
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Merge feeders of fewer than five institutions.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Appraise the current warehouse: figures, trends, failing rules with owner and due date."""
    settings = Settings()
    folder = current(settings.warehouse)
    duties = read_duties(settings.policies)
    try:
        found = appraise(folder, public=public)
    except WarehouseUnreadable as error:
        raise OperatorError(
            "warehouse.unreadable", f"The warehouse cannot be read: {error}.", "仓库无法读取。"
        ) from error
    told = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    made = make_report(
        found,
        folder.name,
        duties,
        datetime.now(UTC).date(),
        public=public,
        since=datetime.fromisoformat(told["created"]).date(),
        synthetic=told["source"].get("kind") == "simulate",
    )
    if html is not None:
        html.write_text(render(made), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(made.as_dict(), ensure_ascii=False))
        return
    for line in lines(made):
        typer.echo(line)
    if html is not None:
        typer.echo(f"page: {html}")
