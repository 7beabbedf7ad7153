"""`sluice tenant`: organisations of the directory."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, contents, office, say, show
from gateway.db.engine import writing
from gateway.identity.changes import register_tenant
from gateway.identity.entries import (
    LimitEntry,
    TenantEntry,
    TenantUpdate,
    check_entry,
    read_entry,
)
from gateway.identity.organisations import (
    limit_tenant,
    set_tenant_status,
    set_termination,
    update_tenant,
)
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


@app.command("revoke")
def revoke(tenant: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End a tenant for good."""
    _set(tenant, "revoked", reason, actor, as_json)


@app.command("limit")
def limit(
    tenant: _Id,
    reason: Reason,
    *,
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Cut-off day.")],
    strategy: Annotated[
        str, typer.Option(help="historical: periods over by then; latest: also the running one.")
    ] = "historical",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Let a leaving tenant ask only for periods up to a cut-off day."""
    asked = {"cut_off_date": until.date(), "strategy": strategy}
    entry = check_entry(LimitEntry, asked, "limit")
    with office(Settings()) as engine, writing(engine) as session:
        after = limit_tenant(session, act_now(actor, reason), tenant, entry)
    say(after.document(), as_json, f"Tenant {tenant} is limited to {entry.cut_off_date}.")


@app.command("terminate")
def terminate(
    tenant: _Id,
    reason: Reason,
    *,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day without access.")
    ] = None,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Set the day from which a tenant is revoked; without --on, take it back."""
    day = on.date() if on else None
    with office(Settings()) as engine, writing(engine) as session:
        after = set_termination(session, act_now(actor, reason), tenant, day)
    says = f"ends on {day}" if day else "has no end set"
    say(after.document(), as_json, f"Tenant {tenant} {says}.")


@app.command("update")
def update(
    tenant: _Id,
    file: Annotated[Path, typer.Argument(help="YAML file with the facts that change.")],
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Replace facts of a tenant: qualifications, addresses, certificates, contacts."""
    entry = read_entry(TenantUpdate, file)
    with office(Settings()) as engine, writing(engine) as session:
        after = update_tenant(session, act_now(actor, reason), tenant, entry)
    say(after.document(), as_json, f"Tenant {tenant} is updated.")


def _set(tenant: str, status: str, reason: str, actor: str, as_json: bool) -> None:
    with office(Settings()) as engine, writing(engine) as session:
        after = set_tenant_status(session, act_now(actor, reason), tenant, status)
    say({"id": tenant, "status": after.status}, as_json, f"Tenant {tenant} is {after.status}.")
