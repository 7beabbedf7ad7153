"""`sluice region`: what the bureau sets for its regions, beside the policy files."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, bounds_now, contents, office, say, show
from gateway.db.engine import writing
from gateway.identity.changes import set_region
from gateway.identity.entries import RegionEntry, check_entry
from gateway.settings import Settings

app = typer.Typer(help="Regions: opened, closed, added.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every region as the policy sees it."""
    settings = Settings()
    bounds = bounds_now(settings).with_regions(contents(settings).region_flags)
    rows = [{"admdvs": admdvs, **region} for admdvs, region in sorted(bounds.regions.items())]
    show(rows, ("admdvs", "title_zh", "level", "parent", "insured", "data_open"), as_json)


@app.command("set")
def set_(
    admdvs: Annotated[str, typer.Argument(help="Region code, six digits.")],
    *,
    level: Annotated[str | None, typer.Option(help="province, city or county.")] = None,
    parent: Annotated[str | None, typer.Option(help="Region above.")] = None,
    insured: Annotated[int | None, typer.Option(help="Insured persons of the region.")] = None,
    title: Annotated[str | None, typer.Option(help="Chinese name.")] = None,
    data_open: Annotated[
        bool | None, typer.Option("--data-open/--closed", help="May its data be asked?")
    ] = None,
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Change a region, or add one; a new region is closed unless --data-open says otherwise."""
    settings = Settings()
    asked = {
        "level": level,
        "parent": parent,
        "insured": insured,
        "title_zh": title,
        "data_open": data_open,
    }
    entry = check_entry(RegionEntry, asked, f"region {admdvs}")
    bounds = bounds_now(settings)
    with office(settings) as engine, writing(engine) as session:
        flags = set_region(session, act_now(actor, reason), admdvs, entry, bounds)
    say({"admdvs": admdvs, **flags}, as_json, f"Region {admdvs} is set.")
