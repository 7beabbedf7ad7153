"""`sluice grant`: scenario licences, entered by one person and approved by two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import Actor, Json, Reason, act_now, bounds_now, contents, office, say, show
from gateway.conformance.accepting import check_ready
from gateway.db.engine import writing
from gateway.identity.directory import take_snapshot
from gateway.identity.entries import GrantEntry, read_entry
from gateway.identity.grants import approve_grant, enter_grant, set_grant_status, submit_grant
from gateway.settings import Settings

app = typer.Typer(help="Scenario licences of tenants.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(help="Grant id.")]
_Person = Annotated[str, typer.Option("--actor", help="Who approves; two different people must.")]


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="YAML file with the grant.")],
    draft: Annotated[bool, typer.Option("--draft", help="Keep it as a draft.")] = False,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Enter a grant for review; one that reaches beyond its scenario is refused."""
    settings = Settings()
    entry = read_entry(GrantEntry, file)
    bounds = bounds_now(settings)
    with office(settings) as engine, writing(engine) as session:
        grant = enter_grant(session, act_now(actor), entry, bounds, draft=draft)
    waits = "is kept as a draft" if draft else "waits for two approvals"
    say(grant.document(), as_json, f"Grant {grant.id} {waits}.")


@app.command("submit")
def submit(grant: _Id, actor: Actor = "", reason: Reason = "", as_json: Json = False) -> None:
    """Put a draft under review."""
    settings = Settings()
    bounds = bounds_now(settings)
    with office(settings) as engine, writing(engine) as session:
        after = submit_grant(session, act_now(actor, reason), grant, bounds)
    say(after.document(), as_json, f"Grant {grant} waits for two approvals.")


@app.command("send-back")
def send_back(grant: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Make a grant under review a draft again; its approvals are gone."""
    _set(grant, "draft", reason, actor, as_json)


@app.command("list")
def list_(
    tenant: Annotated[str, typer.Option(help="Only grants of this tenant.")] = "",
    as_json: Json = False,
) -> None:
    """Every grant, its reach and state; `left_out` says why a server does not load it."""
    settings = Settings()
    directory = contents(settings)
    rejected = take_snapshot(directory, bounds_now(settings)).rejected
    rows = [
        {
            **each.document(),
            "left_out": [fault.reason for fault in rejected.get(each.id, ())],
        }
        for each in directory.grants.values()
        if tenant in ("", each.tenant)
    ]
    columns = ("id", "tenant", "scenario", "services", "regions", "valid_to", "status", "left_out")
    show(rows, columns, as_json)


@app.command("approve")
def approve(grant: _Id, actor: _Person, reason: Reason = "", as_json: Json = False) -> None:
    """Approve a grant; the second person's approval makes it active."""
    settings = Settings()
    bounds = bounds_now(settings)
    with office(settings) as engine, writing(engine) as session:
        act = act_now(actor, reason)
        if settings.conformance_keys is not None:
            check_ready(session, grant, act.at)
        after = approve_grant(session, act, grant, bounds)
    by = ", ".join(after.approved_by)
    say(after.document(), as_json, f"Grant {grant} is approved by {by}; it is {after.status}.")


@app.command("suspend")
def suspend(grant: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Stop a grant for a while."""
    _set(grant, "suspended", reason, actor, as_json)


@app.command("resume")
def resume(grant: _Id, reason: Reason = "", actor: Actor = "", as_json: Json = False) -> None:
    """Let a suspended grant be used again."""
    _set(grant, "active", reason, actor, as_json)


@app.command("revoke")
def revoke(grant: _Id, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End a grant for good."""
    _set(grant, "revoked", reason, actor, as_json)


def _set(grant: str, status: str, reason: str, actor: str, as_json: bool) -> None:
    with office(Settings()) as engine, writing(engine) as session:
        set_grant_status(session, act_now(actor, reason), grant, status)
    say({"id": grant, "status": status}, as_json, f"Grant {grant} is {status}.")
