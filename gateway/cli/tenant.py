"""`sluice tenant`: organisations of the directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, contents, office, say, show
from gateway.db.engine import writing
from gateway.identity.changes import register_tenant, set_tenant_status
from gateway.identity.entries import TenantEntry, read_entry
from gateway.settings import Settings

app = typer.Typer(help="Organisations that may be granted scenarios.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(help="Tenant id.")]


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="YAML file with the tenant's facts.")],
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Register an organisation, with its qualifications and source addresses."""
    entry = read_entry(TenantEntry, file)
    with office(Settings()) as engine, writing(engine) as session:
        tenant = register_tenant(session, act_now(actor), entry)
    say({"id": tenant.id, **tenant.document()}, as_json, f"Tenant {tenant.id} is registered.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every tenant and its status."""
    tenants = contents(Settings()).tenants
    rows = [{"id": each.id, **each.document()} for each in tenants.values()]
    show(rows, ("id", "type", "name", "status", "env", "source_ips"), as_json)


@app.command("suspend")
def suspend(tenant: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Refuse every token and request of a tenant, within a second."""
    _set(tenant, "suspended", reason, actor, as_json)


@app.command("resume")
def resume(tenant: _Id, reason: Reason = "", actor: Actor = "", as_json: Json = False) -> None:
    """Accept a suspended tenant again."""
    _set(tenant, "active", reason, actor, as_json)


def _set(tenant: str, status: str, reason: str, actor: str, as_json: bool) -> None:
    with office(Settings()) as engine, writing(engine) as session:
        set_tenant_status(session, act_now(actor, reason), tenant, status)
    say({"id": tenant, "status": status}, as_json, f"Tenant {tenant} is {status}.")
