"""`sluice staff`: the data office's accounts; the first one can be made only here."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
import typer

from gateway.cli.office import Actor, Json, Reason, act_now, office, say, show
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity.entries import check_entry
from gateway.identity.record import DIRECTORY, broken_entries
from gateway.identity.secrets import secret
from gateway.settings import Settings
from gateway.staff import accounts
from gateway.staff.accounts import StaffEntry
from gateway.staff.guarding import vouch, vouching_code
from gateway.staff.links import unlink
from gateway.staff.model import RECORD, Account
from gateway.staff.operations import load_operations
from gateway.staff.secrets import Passwords, Sealer, totp_address

app = typer.Typer(help="People of the data office and their accounts.", no_args_is_help=True)

_RECORDS = {"directory": DIRECTORY, "staff": RECORD}
_Name = Annotated[str, typer.Argument(help="Account name.")]
_Roles = Annotated[list[str], typer.Option("--role", help="A role; repeat for more.")]


def _sealer(settings: Settings) -> Sealer:
    return Sealer(secret(settings.keys, "staff"))


@app.command("add")
def add(
    name: _Name,
    role: _Roles,
    *,
    display_name: Annotated[str, typer.Option("--display-name", help="Name for people.")] = "",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Make an account; prints the invitation with which its person chooses password and factor."""
    settings = Settings()
    asked = {"name": name, "display_name": display_name or name, "roles": role}
    entry = check_entry(StaffEntry, asked, "account")
    operations = load_operations(settings.policies)
    with office(settings) as engine, writing(engine) as session:
        sealer, act = _sealer(settings), act_now(actor)
        account, token = accounts.invite(session, act, entry, operations, sealer, on_machine=True)
    _say_invitation(account, token, as_json)


@app.command("accept")
def accept(
    invitation: Annotated[str, typer.Option(prompt=True, hide_input=True, help="As printed.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Take up an invitation here: choose a password, set up an authenticator app, try it."""
    settings = Settings()
    sealer = _sealer(settings)
    with office(settings) as engine:
        with writing(engine) as session:
            act = act_now("invited")
            factor = accounts.accept(
                session, act, invitation, password, sealer=sealer, passwords=Passwords()
            )
        typer.echo(totp_address(factor.secret, factor.name, settings.base_url))
        typer.echo("Recovery codes, each good once:")
        for code in factor.recovery_codes:
            typer.echo(f"  {code}")
        code = typer.prompt("Code your authenticator app shows now")
        with writing(engine) as session:
            account = accounts.confirm(session, act_now("invited"), invitation, code, sealer)
            spoken = vouching_code(session, account.name, sealer)
    typer.echo(f"Account {account.name} can sign in now.")
    if spoken is not None:
        waiting = ", ".join(account.asked_roles)
        typer.echo(f"For {waiting} a second administrator needs your code {spoken}.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every account, its roles and state."""
    with office(Settings()) as engine, reading(engine) as session:
        rows = [each.document() for each in accounts.accounts(session)]
    show(rows, ("name", "display_name", "roles", "asked_roles", "state"), as_json)


@app.command("reset")
def reset(name: _Name, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Invite somebody again who lost password or factor; the old ones end at once."""
    settings = Settings()
    with office(settings) as engine, writing(engine) as session:
        act, operations = act_now(actor, reason), load_operations(settings.policies)
        made = accounts.reset(session, act, name, operations, _sealer(settings), on_machine=True)
    _say_invitation(*made, as_json)


@app.command("roles")
def roles(
    name: _Name, role: _Roles, reason: Reason, actor: Actor = "", as_json: Json = False
) -> None:
    """Give somebody other roles."""
    settings = Settings()
    operations = load_operations(settings.policies)
    with office(settings) as engine, writing(engine) as session:
        act = act_now(actor, reason)
        account = accounts.set_roles(session, act, name, tuple(role), operations, on_machine=True)
    say(account.document(), as_json, f"Account {name} has the roles {', '.join(account.roles)}.")


@app.command("vouch")
def vouch_(name: _Name, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """Give somebody the guarded roles an administrator asked for, as the second person."""
    settings = Settings()
    operations = load_operations(settings.policies)
    with office(settings) as engine, writing(engine) as session:
        act, sealer = act_now(actor, reason), _sealer(settings)
        account = vouch(session, act, name, None, operations=operations, sealer=sealer)
    say(account.document(), as_json, f"Account {name} has the roles {', '.join(account.roles)}.")


@app.command("unlink")
def unlink_(name: _Name, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End the link between an account and an identity of the single sign-on."""
    with office(Settings()) as engine, writing(engine) as session:
        unlink(session, act_now(actor, reason), name)
    say({"unlinked": name}, as_json, f"Account {name} is not linked any more.")


@app.command("disable")
def disable(name: _Name, reason: Reason, actor: Actor = "", as_json: Json = False) -> None:
    """End an account's use and its sessions."""
    settings = Settings()
    operations = load_operations(settings.policies)
    with office(settings) as engine, writing(engine) as session:
        account = accounts.disable(session, act_now(actor, reason), name, operations)
    say(account.document(), as_json, f"Account {name} is disabled.")


@app.command("verify")
def verify(as_json: Json = False) -> None:
    """Check the chained records of the directory and of the staff."""
    with office(Settings()) as engine, reading(engine) as session:
        found = {name: list(broken_entries(session, each)) for name, each in _RECORDS.items()}
        counts = {
            name: session.scalars(sa.select(each.counter.revision)).one()
            for name, each in _RECORDS.items()
        }
    whole = not any(found.values())
    says = ", ".join(f"{name}: {counts[name]} entries" for name in found)
    say({"whole": whole, "found": found}, as_json, f"{says}; {'whole' if whole else 'DAMAGED'}")
    if not whole:
        listed = "; ".join(each for faults in found.values() for each in faults[:5])
        raise OperatorError("record.damaged", f"A record was changed: {listed}.")


def _say_invitation(account: Account, token: str, as_json: bool) -> None:
    document = {**account.document(), "invitation": token}
    say(
        document,
        as_json,
        f"Account {account.name} is invited. Hand over this invitation, good once, for a day:\n"
        f"  {token}\nIts person runs `sluice staff accept` or uses /admin/v1/invitations/accept.",
    )
