"""`sluice stop`: the emergency stop of a tenant, scenario, service, region or person."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, contents, office, say, show
from gateway.consent.stopping import stop_target
from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.changes import lift_stop, raise_stop
from gateway.settings import Settings

app = typer.Typer(help="Emergency stop, effective within seconds.", no_args_is_help=True)

_Kind = Annotated[
    str,
    typer.Argument(help="tenant, scenario, service, region, person; or brake: it slows a tenant."),
]
_Target = Annotated[
    str,
    typer.Argument(
        help="Which one; `-` reads it from standard input, so that a certificate number stays out "
        "of the shell's history."
    ),
]


@app.command("raise")
def raise_(
    kind: _Kind, target: _Target, reason: Reason, actor: Actor = "", as_json: Json = False
) -> None:
    """Let nothing of the target leave from now on."""
    settings = Settings()
    named = stop_target(settings.keys, kind, _read(target))
    with office(settings) as engine, writing(engine) as session:
        name = raise_stop(session, act_now(actor, reason), kind, named)
    say({"kind": kind, "target": name, "on": True}, as_json, f"The {kind} {name} is stopped.")


@app.command("lift")
def lift(
    kind: _Kind, target: _Target, reason: Reason = "", actor: Actor = "", as_json: Json = False
) -> None:
    """End a stop; a person's also by the name in the list."""
    settings = Settings()
    named = stop_target(settings.keys, kind, _read(target))
    with office(settings) as engine, writing(engine) as session:
        name = lift_stop(session, act_now(actor, reason), kind, named)
    say({"kind": kind, "target": name, "on": False}, as_json, f"The {kind} {name} is free.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every stop that is on; never who a person is."""
    rows = [
        {"kind": each.kind, "target": each.name, **each.document()}
        for each in contents(Settings()).stops
    ]
    show(rows, ("kind", "target", "since", "reason"), as_json)


def _read(target: str) -> str:
    """The target itself, or the one line that is piped in."""
    if target != "-":
        return target
    line = sys.stdin.readline().strip()
    if not line:
        raise OperatorError("stop.target", "Nothing was piped in; say what is to be stopped.")
    return line
