"""`sluice keys`: the keys that sign access tokens."""

from __future__ import annotations

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, office, say, show
from gateway.identity import keyring
from gateway.settings import Settings

app = typer.Typer(help="Keys that sign access tokens.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every signing key and its state."""
    with office(Settings()) as engine:
        rows = keyring.describe_keys(engine)
    show(rows, ("kid", "alg", "status", "created_at", "keep_until"), as_json)


@app.command("rotate")
def rotate(reason: Reason = "", actor: Actor = "", as_json: Json = False) -> None:
    """Let the next key sign; running servers follow, no token is refused."""
    settings = Settings()
    with office(settings) as engine:
        kid = keyring.rotate(engine, settings.keys, act_now(actor, reason))
    say({"kid": kid}, as_json, f"Key {kid} signs from now on.")
