"""`sluice stop`: the emergency stop of a tenant, scenario, service or region."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, contents, office, say, show
from gateway.db.engine import writing
from gateway.identity.changes import lift_stop, raise_stop
from gateway.settings import Settings

app = typer.Typer(help="Emergency stop, effective within seconds.", no_args_is_help=True)

_Kind = Annotated[str, typer.Argument(help="tenant, scenario, service or region.")]
_Target = Annotated[str, typer.Argument(help="Which one.")]


@app.command("raise")
def raise_(
    kind: _Kind, target: _Target, reason: Reason, actor: Actor = "", as_json: Json = False
) -> None:
    """Let nothing of the target leave from now on."""
    with office(Settings()) as engine, writing(engine) as session:
        raise_stop(session, act_now(actor, reason), kind, target)
    say({"kind": kind, "target": target, "on": True}, as_json, f"The {kind} {target} is stopped.")


@app.command("lift")
def lift(
    kind: _Kind, target: _Target, reason: Reason = "", actor: Actor = "", as_json: Json = False
) -> None:
    """End a stop."""
    with office(Settings()) as engine, writing(engine) as session:
        lift_stop(session, act_now(actor, reason), kind, target)
    say({"kind": kind, "target": target, "on": False}, as_json, f"The {kind} {target} is free.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every stop that is on."""
    rows = [
        {"kind": each.kind, "target": each.target, **each.document()}
        for each in contents(Settings()).stops
    ]
    show(rows, ("kind", "target", "since", "reason"), as_json)
