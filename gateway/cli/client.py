"""`sluice client`: machine clients and their public keys; and acting as one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import calling
from gateway.cli.office import Actor, Json, Reason, act_now, contents, office, say, show
from gateway.db.engine import writing
from gateway.errors import OperatorError
from gateway.identity.changes import disable_client, register_client
from gateway.identity.entries import ClientEntry, ClientTerms, check_entry, read_entry
from gateway.identity.requester import generate_key
from gateway.settings import Settings

app = typer.Typer(help="Machine clients of tenants.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(help="Client id.")]


@app.command("add")
def add(
    client: _Id,
    *,
    tenant: Annotated[str, typer.Option(help="Tenant the client belongs to.")],
    jwks: Annotated[Path | None, typer.Option(help="File with the public JWK or JWKS.")] = None,
    generate: Annotated[
        Path | None, typer.Option(help="Make a key: write the private JWK here (0600).")
    ] = None,
    name: Annotated[str, typer.Option(help="Name for people.")] = "",
    terms: Annotated[
        Path | None, typer.Option(help="YAML file: grant types, redirect URIs, mTLS, binding.")
    ] = None,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Register a client by its public keys, or make a key pair for it."""
    if (jwks and generate) or not (jwks or generate or terms):
        raise typer.BadParameter("give either --jwks FILE or --generate KEYFILE")
    asked = {"id": client, "tenant": tenant, "name": name or client}
    entry = check_entry(ClientEntry, asked, "client")
    agreed = read_entry(ClientTerms, terms) if terms else ClientTerms()
    keys: object = _read_jwks(jwks) if jwks else None
    with office(Settings()) as engine:
        if generate:
            keys = generate_key(generate)
        try:
            with writing(engine) as session:
                added = register_client(
                    session,
                    act_now(actor),
                    client_id=entry.id,
                    tenant_id=entry.tenant,
                    name=entry.name,
                    jwks=keys,
                    terms=agreed,
                )
        except OperatorError:
            if generate:
                generate.unlink()  # a key nobody knows would only be mistaken for one
            raise
    say(added.document(), as_json, f"Client {client} of tenant {tenant} is registered.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every client, its algorithms and status."""
    rows = [each.document() for each in contents(Settings()).clients.values()]
    show(rows, ("id", "tenant", "name", "algs", "status"), as_json)


@app.command("disable")
def disable(client: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End a client for good; its tokens stop working within a second."""
    with office(Settings()) as engine, writing(engine) as session:
        disable_client(session, act_now(actor, reason), client)
    say({"id": client, "status": "disabled"}, as_json, f"Client {client} is disabled.")


app.command("token")(calling.token)
app.command("call")(calling.call)
app.command("proof")(calling.proof)


def _read_jwks(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OperatorError("client.jwks_unreadable", f"Cannot read JSON from {path}.") from error
    return content
