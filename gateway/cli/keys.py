"""`sluice keys`: the keys that sign access tokens, and those that mask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, office, say, show
from gateway.identity import keyring
from gateway.keystore.book import KeyBook, open_book
from gateway.keystore.files import Epoch
from gateway.settings import Settings

app = typer.Typer(help="Keys that sign access tokens, and keys that mask.", no_args_is_help=True)

Kind: TypeAlias = Annotated[
    Literal["signing", "masking"], typer.Option("--kind", help="Which keys.")
]


@contextmanager
def _book(settings: Settings) -> Iterator[KeyBook]:
    with office(settings) as engine:
        yield open_book(engine, settings, datetime.now(UTC))


@app.command("list")
def list_(kind: Kind = "signing", as_json: Json = False) -> None:
    """Every key of the kind and its state; nothing of the keys themselves."""
    settings = Settings()
    if kind == "masking":
        with _book(settings) as book:
            columns = ("id", "suite", "status", "created_at", "destroyed_at", "commitment")
            return show(book.describe(), columns, as_json)
    with office(settings) as engine:
        rows = keyring.describe_keys(engine)
    return show(rows, ("kid", "alg", "status", "created_at", "keep_until"), as_json)


@app.command("rotate")
def rotate(
    kind: Kind = "signing", reason: Reason = "", actor: Actor = "", as_json: Json = False
) -> None:
    """Let the next key sign, or begin a new epoch of masks: every pseudonym changes with it."""
    settings, act = Settings(), act_now(actor, reason)
    if kind == "masking":
        with _book(settings) as book:
            epoch = book.rotate(act, act.at.date())
        return say({"epoch": epoch}, as_json, f"Masks are made under epoch {epoch} from now on.")
    with office(settings) as engine:
        kid = keyring.rotate(engine, settings.keys, act)
    return say({"kid": kid}, as_json, f"Key {kid} signs from now on.")


@app.command("destroy")
def destroy(
    epoch: Annotated[str, typer.Argument(help="Epoch of the masking key, such as 2025.1.")],
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Destroy a masking key that is no longer in use; its tokens can never be made again."""
    act = act_now(actor, reason)
    with _book(Settings()) as book:
        proof = book.destroy(act, Epoch.parse(epoch), act.at.date())
    sentence = f"The key {proof['name']}/{epoch} is destroyed; commitment {proof['commitment']}"
    say(proof, as_json, f"{sentence}, audit entry {proof['revision']}.")
