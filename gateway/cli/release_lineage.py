"""`sluice release lineage`: from which columns of the warehouse each released column comes."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.catalogue.load import load_catalogue
from gateway.cli.office import by_edition
from gateway.releases.lineage.reading import read_lineage
from gateway.releases.lineage.text import columns, overview, path_of
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings


def lineage(
    service: Annotated[str, typer.Argument(help="Id or code of the service.")],
    column: Annotated[
        str, typer.Option("--column", help="All that acts on this column, way by way.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The OpenLineage event.")] = False,
) -> None:
    """Show where the columns of the release in force come from."""
    manifest, event = _found(Settings(), service)
    if column and column not in columns(event):
        raise ReleaseError(
            "column_unknown",
            f"{manifest.service} has no column {column}; it has {', '.join(columns(event))}.",
            f"{manifest.service}没有列{column}。",
        )
    if as_json:
        typer.echo(json.dumps(event, ensure_ascii=False))
        return
    typer.echo(manifest.release_id)
    for line in path_of(event, column) if column else overview(event):
        typer.echo(line)


def _found(settings: Settings, key: str) -> tuple[Manifest, dict[str, Any]]:
    """The release in force of a service, with its event."""
    with by_edition(settings) as live:
        catalogue = load_catalogue(live.policies)
    service = catalogue.get(key) or catalogue.cohort(key)
    manifest = ReleaseStore(settings.releases).latest(service.id) if service else None
    if manifest is None:
        raise ReleaseError(
            "release_unknown", f"No release of {key} is in force.", f"没有生效的{key}发布。"
        )
    folder = settings.releases / manifest.service / manifest.release_id
    event = read_lineage(folder, manifest.created)
    if event is None:
        raise ReleaseError(
            "lineage_absent",
            f"{manifest.release_id} was built before lineage was kept; build the service again.",
            "该发布构建时尚未记录血缘，请重新构建。",
        )
    return manifest, event
