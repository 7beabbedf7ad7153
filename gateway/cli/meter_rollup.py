"""`sluice meter rollup`: archive what was recorded and add it up by the hour."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import orjson
import typer

from gateway.billing.rollup import Progress, rollups
from gateway.billing.sources import archive_of, events_of
from gateway.billing.watermark import hour_of
from gateway.settings import Settings


def rollup(
    check: Annotated[
        bool,
        typer.Option("--check", help="Also compare the archive with the journals, event by event."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Bring the archive and the hourly roll-ups up to date; exit 1 if the archive was wrong."""
    settings, now = Settings(), datetime.now(UTC)
    events = events_of(settings)
    with rollups(archive_of(settings)) as rolled:
        progress = rolled.refresh(events, now)
        proven = rolled.prove(events, 0, hour_of(now) + 2) if check else None
    if as_json:
        typer.echo(orjson.dumps({**asdict(progress), "proven": proven}).decode())
    else:
        _show(progress, proven)
    raise typer.Exit(1 if progress.caught.rebuilt or proven is False else 0)


def _show(progress: Progress, proven: bool | None) -> None:
    caught, state = progress.caught, progress.state
    typer.echo(f"{caught.events} events taken over, {caught.late} of them late")
    typer.echo(f"{progress.hours} hours added up anew")
    complete = "nothing yet" if state.watermark is None else f"{state.watermark:%Y-%m-%d %H:%M} UTC"
    typer.echo(
        f"{state.events} events in {state.hours} hours, {state.open_hours} of them still open; "
        f"complete up to {complete}; {state.late} events came late so far"
    )
    if caught.rebuilt:
        typer.echo("THE ARCHIVE WAS CHANGED by somebody: made anew from the journals")
    if proven is False:
        typer.echo("THE ARCHIVE HELD OTHER EVENTS than the journals: made anew")
    elif proven:
        typer.echo("ok: the archive holds the journals' events, each of them")
