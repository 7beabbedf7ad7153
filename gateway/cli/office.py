"""What the directory's verbs share: the open database, the acting person, tables for people."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table

from gateway.db.engine import reading
from gateway.identity.changes import new_act
from gateway.identity.desk import prepare_database
from gateway.identity.record import Act
from gateway.identity.store import Contents, read_contents
from gateway.settings import Settings

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Actor: TypeAlias = Annotated[str, typer.Option("--actor", help="Who does this; default: you.")]
Reason: TypeAlias = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]


@contextmanager
def office(settings: Settings) -> Iterator[sa.Engine]:
    """The operational database, created or migrated as needed."""
    engine = prepare_database(settings, datetime.now(UTC))
    try:
        yield engine
    finally:
        engine.dispose()


def contents(settings: Settings) -> Contents:
    """The whole directory."""
    with office(settings) as engine, reading(engine) as session:
        return read_contents(session)


def act_now(actor: str, reason: str = "") -> Act:
    """An act by the named person, or by who is logged in."""
    return new_act(actor or _login(), datetime.now(UTC), reason)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"  # a container may run under a user id without a name


def say(document: Mapping[str, object], as_json: bool, sentence: str) -> None:
    """Print the result of one act."""
    typer.echo(json.dumps(document, ensure_ascii=False) if as_json else sentence)


def show(rows: Iterable[Mapping[str, object]], columns: Sequence[str], as_json: bool) -> None:
    """Print a list: every field for machines, the named columns for people."""
    rows = list(rows)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)
