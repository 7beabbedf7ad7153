"""What the directory's verbs share: the open database, the acting person, tables for people."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table

from gateway.db.engine import reading, writing
from gateway.db.place import database_there
from gateway.editions.store import edition_key, folder_of, in_place, live_folder
from gateway.identity.boundaries import load_boundaries
from gateway.identity.changes import new_act
from gateway.identity.desk import prepare_database
from gateway.identity.narrowing import Boundaries
from gateway.identity.record import Act, Entity, record_change
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


@contextmanager
def by_edition(settings: Settings, name: str = "") -> Iterator[Settings]:
    """The settings with the policies of an edition: of this name, or what is live."""
    if not name and not database_there(settings):
        yield settings
        return
    with office(settings) as engine:
        keys = settings.keys
        place = (
            folder_of(engine, keys, name) if name else live_folder(engine, keys, settings.policies)
        )
        with place as folder:
            yield settings.model_copy(update={"policies": folder})


@contextmanager
def to_build(settings: Settings, name: str = "") -> Iterator[tuple[Settings, tuple[Path, ...]]]:
    """For which edition releases are made, and the folders of those that must stay answerable:
    what is live until `name` is, and what a roll-back would bring again."""
    if not name and not database_there(settings):
        yield settings, ()
        return
    with office(settings) as engine, ExitStack() as stack:
        with reading(engine) as session:
            live = in_place(session, edition_key(settings.keys), "live")
        chosen = stack.enter_context(by_edition(settings, name))
        also = [stack.enter_context(by_edition(settings)).policies] if name else []
        if live is not None and live.replaces:
            also.append(stack.enter_context(folder_of(engine, settings.keys, live.replaces)))
        yield chosen, tuple(also)


def bounds_now(settings: Settings) -> Boundaries:
    """What grants are measured against: the live edition's scenarios, services and regions."""
    with by_edition(settings) as live:
        return load_boundaries(live.policies)


def contents(settings: Settings) -> Contents:
    """The whole directory."""
    with office(settings) as engine, reading(engine) as session:
        return read_contents(session)


def act_now(actor: str, reason: str = "") -> Act:
    """An act by the named person, or by who is logged in."""
    return new_act(actor or _login(), datetime.now(UTC), reason)


def record_act(
    settings: Settings, act: Act, action: str, entity: Entity, after: Mapping[str, object]
) -> None:
    """An entry of the directory's record for an act outside the database, and so of the audit."""
    with office(settings) as engine, writing(engine) as session:
        record_change(session, act, action, entity, before=None, after=dict(after))


def record_here(
    settings: Settings, act: Act, action: str, entity: Entity, after: Mapping[str, object]
) -> None:
    """The same where there is a database: a machine that only builds has none, and what it builds
    is recorded when a gateway sees it in force."""
    if database_there(settings):
        record_act(settings, act, action, entity, after)


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
