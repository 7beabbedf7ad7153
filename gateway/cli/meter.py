"""`sluice meter`: is every answer metered exactly once? Works while the server runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gateway.audit.reconcile import Reconciliation, reconcile
from gateway.settings import Settings

app = typer.Typer(help="Metering: reconcile answers, usage and audit.", no_args_is_help=True)

Journal = Annotated[Path | None, typer.Option(help="Journal file; default: the one of this home.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
SHOWN = 50


@app.command()
def verify(journal: Journal = None, as_json: Json = False) -> None:
    """Reconcile answers = decisions = usage = audit, cells and amounts; exit 1 on a difference."""
    result = reconcile(journal or Settings().journal)
    if as_json:
        typer.echo(orjson.dumps(asdict(result)).decode())
    else:
        _show(result)
    raise typer.Exit(1 if result.differences else 0)


def _show(result: Reconciliation) -> None:
    typer.echo(
        f"answers audited {result.answers} = allowed and answered {result.decisions}"
        f" = metered {result.usage_events}   (refusals {result.refusals})"
    )
    typer.echo(f"cells audited {result.cells_audited} = metered {result.cells_metered}")
    for line in result.lines:
        typer.echo(
            f"{line.key.month}  {line.key.grant}  {line.key.service}  {line.used.answers} answers"
            f"  {line.used.billable} cells to bill  {line.units} × {line.key.unit}"
            f"  ¥{line.amount_fen // 100}.{line.amount_fen % 100:02d}"
        )
    for difference in result.differences[:SHOWN]:
        typer.echo(f"DIFFERS  {difference.code}  {difference.subject}: {difference.message}")
    if len(result.differences) > SHOWN:
        typer.echo(f"         … and {len(result.differences) - SHOWN} more (--json shows all)")
    typer.echo("DIFFERENCES FOUND" if result.differences else "ok: difference 0")
