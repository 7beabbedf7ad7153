"""`sluice alarm`: what detection raised, lifting it, and the canaries it watches."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, act_now, office, say, show
from gateway.consent.subjects import audit_token_of
from gateway.db.engine import reading, writing
from gateway.detection import book
from gateway.detection.canaries import add_canary
from gateway.errors import OperatorError
from gateway.settings import Settings

app = typer.Typer(help="Alarms of abuse detection.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="ALARM", help="Id of an alarm.")]
_COLUMNS = ("id", "rule", "kind", "who", "severity", "response", "effects", "state", "raised_at")


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are lifted.")] = False,
    as_json: Json = False,
) -> None:
    """Alarms that are open, the newest first."""
    with office(Settings()) as engine, reading(engine) as session:
        found = book.read_alarms(session, everything=everything)
    show([one.document() for one in found], _COLUMNS, as_json)


@app.command("show")
def show_(alarm: Id, as_json: Json = False) -> None:
    """One alarm with its evidence: ids of audited events."""
    with office(Settings()) as engine, reading(engine) as session:
        found = book.read_alarm(session, alarm).document()
    rows = [{"attribute": name, "value": value} for name, value in found.items()]
    if as_json:
        say(found, as_json, "")
    else:
        show(rows, ("attribute", "value"), as_json)


@app.command()
def lift(
    alarm: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")],
    usual: Annotated[
        float | None,
        typer.Option(min=0, help="Usual for them up to this value: the rule is silent below it."),
    ] = None,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """End an alarm and what it did; where it stopped or suspended, two people have to."""
    with office(Settings()) as engine, writing(engine) as session:
        found = book.lift_alarm(session, act_now(actor, reason), alarm, usual)
    told = (
        f"Alarm {alarm} is lifted."
        if found.state == book.LIFTED
        else f"{found.lift_asked_by} asked to lift {alarm}; another person has to agree."
    )
    say(found.document(), as_json, told)


@app.command()
def canary(
    kind: Annotated[str, typer.Argument(help="person or code.")],
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Enter a canary, read from standard input: a certificate number or a code."""
    value = sys.stdin.readline().strip()
    if kind not in {"person", "code"} or not value:
        raise OperatorError("canary.kind", "Say person or code, and pipe in which.")
    settings = Settings()
    if kind == "person":
        value = audit_token_of(settings.keys, value)
    with office(settings) as engine, writing(engine) as session:
        add_canary(session, act_now(actor), "person" if kind == "person" else "code", value)
    say({"planted": kind}, as_json, f"One more {kind} is a canary.")
