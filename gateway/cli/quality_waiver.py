"""`sluice quality waiver`: propose one, sign another's, take one back, list them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, act_now, office, say, show
from gateway.db.engine import reading, writing
from gateway.db.place import database_there
from gateway.errors import OperatorError
from gateway.quality import waivers
from gateway.quality.waiver import Waiver
from gateway.settings import Settings

app = typer.Typer(
    help="Waivers: releases despite failing quality, signed by two people.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(metavar="WAIVER", help="Id of a waiver.")]


@app.command()
def propose(
    covers: Annotated[list[str], typer.Argument(help="Figures or rules: completeness, R04, …")],
    *,
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM", help="First month.")],
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM", help="Last month.")],
    until: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Last day it holds.")],
    reason: Annotated[str, typer.Option(help="Why; shown with every answer it concerns.")],
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Put a waiver down; another person has to sign it."""
    settings = Settings()
    with office(settings) as engine, writing(engine) as session:
        made = waivers.propose(
            session,
            act_now(actor, reason),
            waivers.waiver_key(settings.keys),
            covers=covers,
            periods=(first, last),
            until=_day(until),
        )
    say(made.document(), as_json, f"{made.id} proposed; another person signs it")


@app.command()
def sign(waiver: Id, actor: Actor = "", as_json: Json = False) -> None:
    """Sign a waiver that somebody else proposed."""
    settings = Settings()
    with office(settings) as engine, writing(engine) as session:
        made = waivers.sign(session, act_now(actor), waivers.waiver_key(settings.keys), waiver)
    say(made.document(), as_json, f"{made.id} signed by {made.proposed_by} and {made.signed_by}")


@app.command()
def withdraw(
    waiver: Id,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Take a waiver back; releases in force stay, nothing more is built on it."""
    settings = Settings()
    with office(settings) as engine, writing(engine) as session:
        made = waivers.withdraw(
            session, act_now(actor, reason), waivers.waiver_key(settings.keys), waiver
        )
    say(made.document(), as_json, f"{made.id} withdrawn")


@app.command("list")
def list_waivers(as_json: Json = False) -> None:
    """Every waiver and its state."""
    settings = Settings()
    with office(settings) as engine, reading(engine) as session:
        found = waivers.read_waivers(session, waivers.waiver_key(settings.keys))
    columns = ("waiver", "state", "covers", "from", "to", "until", "proposed_by", "signed_by")
    show([one.document() for one in found], columns, as_json)


def signed_waivers(settings: Settings) -> tuple[Waiver, ...]:
    """What two people signed and nobody took back; none where there is no office yet."""
    if not database_there(settings):
        return ()
    with office(settings) as engine, reading(engine) as session:
        found = waivers.read_waivers(session, waivers.waiver_key(settings.keys))
    return tuple(one for one in found if one.state == "signed")


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise OperatorError(
            "waiver.until", f"{text} is not a day; write it as 2026-11-30."
        ) from None
