"""`sluice database`: the schema of the operational database, and who may use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from gateway.cli.office import Json
from gateway.db.dsn import read_dsn
from gateway.db.place import database_url, stands
from gateway.db.postgres import postgres_url
from gateway.db.roles import let_in
from gateway.db.upgrade import downgrade, newest, upgrade
from gateway.errors import OperatorError
from gateway.settings import Settings

app = typer.Typer(help="The operational database: schema and roles.", no_args_is_help=True)

Owner: TypeAlias = Annotated[
    Path | None,
    typer.Option("--owner-dsn-file", help="File with the DSN of the tables' owner in PostgreSQL."),
]


@app.command("upgrade")
def upgrade_(
    owner_dsn_file: Owner = None,
    role: Annotated[str, typer.Option(help="Role of the gateway; made if new.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password to give the role.")
    ] = None,
) -> None:
    """Bring the schema to this program's; replicas of the version before go on meanwhile."""
    url = _url(owner_dsn_file)
    upgrade(url)
    if role:
        if owner_dsn_file is None:
            raise OperatorError("database_role", "--role needs --owner-dsn-file.")
        let_in(url, role, _word(password_file))
    typer.echo(f"The operational database stands at {newest()}.")


@app.command("downgrade")
def downgrade_(
    revision: Annotated[str, typer.Argument(help="The revision to go back to, as 0021.")],
    owner_dsn_file: Owner = None,
) -> None:
    """Go back to an earlier schema; refused where rows would be lost."""
    if not ("0012" <= revision < newest() and len(revision) == len(newest())):
        raise OperatorError(
            "downgrade_revision", f"Name a revision from 0012 to before {newest()}, as 0021."
        )
    downgrade(_url(owner_dsn_file), revision)
    typer.echo(f"The operational database stands at {revision}.")


@app.command("status")
def status(as_json: Json = False) -> None:
    """At which revision the database stands, and which this program needs; exit 1 when behind."""
    found, needed = stands(Settings()), newest()
    told = {"stands": found, "needed": needed}
    plain = f"stands at {found or 'none'}, needed is {needed}"
    typer.echo(json.dumps(told) if as_json else plain)
    raise typer.Exit(0 if (found or "") >= needed else 1)


def _url(owner: Path | None) -> str:
    if owner is None:
        return database_url(Settings())
    return postgres_url(read_dsn(owner, "database_dsn"))


def _word(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError("password_file", f"{path} cannot be read.") from error
