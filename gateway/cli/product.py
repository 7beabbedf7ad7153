"""`sluice product`: software products of tenants, and the statements clients register with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, contents, office, say, show
from gateway.db.engine import writing
from gateway.identity.entries import ProductEntry, read_entry
from gateway.identity.keyring import load_ring
from gateway.identity.products import register_product, set_product_status, update_product
from gateway.identity.software_statement import LIFE, issue_statement
from gateway.settings import Settings

app = typer.Typer(help="Software products of tenants.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(help="Product id.")]
_File = Annotated[Path, typer.Argument(help="YAML file with the product.")]


@app.command("add")
def add(file: _File, actor: Actor = "", as_json: Json = False) -> None:
    """Register a product with its redirect addresses and keys."""
    entry = read_entry(ProductEntry, file)
    with office(Settings()) as engine, writing(engine) as session:
        product = register_product(session, act_now(actor), entry)
    say(product.document(), as_json, f"Product {product.id} is registered.")


@app.command("update")
def update(file: _File, reason: Reason = "", actor: Actor = "", as_json: Json = False) -> None:
    """Replace what a product has registered."""
    entry = read_entry(ProductEntry, file)
    with office(Settings()) as engine, writing(engine) as session:
        product = update_product(session, act_now(actor, reason), entry)
    say(product.document(), as_json, f"Product {product.id} is updated.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every product and its status."""
    rows = [each.document() for each in contents(Settings()).products.values()]
    show(rows, ("id", "tenant", "name_zh", "name_en", "status"), as_json)


@app.command("statement")
def statement(product: _Id, actor: Actor = "", as_json: Json = False) -> None:
    """Issue a software statement, with which one client can register itself."""
    settings = Settings()
    with office(settings) as engine, writing(engine) as session:
        act = act_now(actor)
        ring = load_ring(engine, settings.keys, act.at)
        issued = issue_statement(session, act, product, ring=ring, issuer=settings.base_url)
    lives = int(LIFE.total_seconds())
    say({"software_statement": issued, "expires_in": lives}, as_json, issued)


@app.command("suspend")
def suspend(product: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Refuse every token and request of a product's clients, within a second."""
    _set(product, "suspended", reason, actor, as_json)


@app.command("resume")
def resume(product: _Id, reason: Reason = "", actor: Actor = "", as_json: Json = False) -> None:
    """Accept a suspended product again."""
    _set(product, "active", reason, actor, as_json)


@app.command("revoke")
def revoke(product: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End a product for good."""
    _set(product, "revoked", reason, actor, as_json)


def _set(product: str, status: str, reason: str, actor: str, as_json: bool) -> None:
    with office(Settings()) as engine, writing(engine) as session:
        set_product_status(session, act_now(actor, reason), product, status)
    say({"id": product, "status": status}, as_json, f"Product {product} is {status}.")
