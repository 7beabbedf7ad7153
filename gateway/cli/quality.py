"""`sluice quality`: report on a warehouse, compare two, sign waivers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import quality_audit, quality_waiver
from gateway.cli.office import Json, act_now, record_here, say
from gateway.cli.quality_drift import drift
from gateway.errors import OperatorError
from gateway.quality.duties import read_duties
from gateway.quality.page import lines, render
from gateway.quality.repairs import Register, repairs, seen_in
from gateway.quality.report import make_report
from gateway.quality.told import read_office
from gateway.settings import Settings
from gateway.warehouse.store import current, versions
from synthetic.integrity.appraisal import Appraisal, appraise
from synthetic.integrity.model import WarehouseUnreadable
from synthetic.integrity.told import Told

app = typer.Typer(help="Data quality: reports, drift, signed waivers.", no_args_is_help=True)
app.add_typer(quality_waiver.app, name="waiver")
app.add_typer(quality_audit.app, name="audit")
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
    audited = read_office(settings.home, settings.keys).told
    found = _appraised(folder, audited, public=public)
    told = _manifest(folder)
    if not public:
        _note(settings, folder, found)
        about = ("quality_run", folder.name)
        figures = {"figures": [one.as_dict() for one in found.kpis]}
        record_here(settings, act_now(""), "appraise", about, figures)
    made = make_report(
        found,
        folder.name,
        duties,
        datetime.now(UTC).date(),
        public=public,
        since=datetime.fromisoformat(told["created"]).date(),
        synthetic=told["source"].get("kind") == "simulate",
        office=read_office(settings.home, settings.keys),
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


@app.command("repairs")
def show_repairs(as_json: Json = False) -> None:
    """How long faults live: mean time to repair over every version of the warehouse."""
    settings = Settings()
    register = Register(settings.home)
    for version in versions(settings.warehouse):
        if not register.knows(version):
            folder = settings.warehouse / "versions" / version
            _note(settings, folder, _appraised(folder))
    found = repairs(register.history())
    mean = "nothing mended yet" if found.mean_hours is None else f"mean {found.mean_hours:.1f} h"
    said = f"{len(found.mended)} faults mended, {mean}; {found.waiting} wait"
    say(found.as_dict(), as_json, said)


def _appraised(folder: Path, told: Sequence[Told] = (), *, public: bool = False) -> Appraisal:
    try:
        return appraise(folder, public=public, told=told)
    except WarehouseUnreadable as error:
        raise OperatorError(
            "warehouse.unreadable", f"The warehouse cannot be read: {error}.", "仓库无法读取。"
        ) from error


def _manifest(folder: Path) -> dict[str, Any]:  # JSON, read by name
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def _note(settings: Settings, folder: Path, found: Appraisal) -> None:
    made = datetime.fromisoformat(_manifest(folder)["created"])
    Register(settings.home).note(seen_in(found, folder.name, made))
