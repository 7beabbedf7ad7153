"""`sluice journal`: the central store, shipping what lies in spools, and exporting usage events."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from gateway.cli.central import chosen, read_store
from gateway.db.dsn import read_dsn
from gateway.errors import OperatorError
from gateway.journal.cloudevents import usage_line, usage_lines
from gateway.journal.janitor import Found, Status, named, only_whole, ship_files, status, tidy
from gateway.journal.neighbours import journals_in
from gateway.journal.postgres_reading import ChainReader
from gateway.journal.postgres_schema import init as init_store
from gateway.journal.schema import connect_reading
from gateway.settings import Settings

app = typer.Typer(help="The journal: central store, shipping, export.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Journal = Annotated[Path | None, typer.Option(help="Journal file; default: those of this home.")]


class Format(StrEnum):
    """Forms of an export."""

    CLOUDEVENTS = "cloudevents"


@app.command()
def init(
    owner_dsn_file: Annotated[Path, typer.Option(help="File with the DSN of the tables' owner.")],
    role: Annotated[str, typer.Option(help="Role of the gateway; made if new.")] = "sluice_app",
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password to give the role.")
    ] = None,
) -> None:
    """Make the tables in PostgreSQL and the role that may only add to them; harmless again."""
    password = _word(password_file) if password_file else None
    asyncio.run(init_store(read_dsn(owner_dsn_file), role, password))
    typer.echo(f"The schema sluice_journal is there; {role} may read it and add to it.")


@app.command()
def ship(journal: Journal = None, as_json: Json = False) -> None:
    """Ship what this home's spools hold; exit 1 when something is in quarantine."""
    settings = Settings()
    paths = named(settings.home, journal, journals_in(settings.home))
    _report(asyncio.run(ship_files(read_store(settings), paths)), as_json)


@app.command()
def janitor(
    folder: Annotated[Path, typer.Argument(help="Where volumes of lost processes are mounted.")],
    as_json: Json = False,
) -> None:
    """Ship and mark the spools under a folder that no process holds."""
    if not folder.is_dir():
        raise OperatorError("no_folder", f"There is no folder {folder}.")
    _report(asyncio.run(tidy(read_store(Settings()), folder)), as_json)


@app.command("status")
def status_(journal: Journal = None, as_json: Json = False) -> None:
    """How the spools stand; exit 1 when something is in quarantine."""
    settings = Settings()
    paths = named(settings.home, journal, journals_in(settings.home))
    dsn = read_store(settings) if settings.postgres_dsn_file else None
    found, quarantine = asyncio.run(status(dsn, paths))
    if as_json:
        rows = [_row(one) for one in found]
        typer.echo(orjson.dumps({"spools": rows, "quarantine": quarantine}).decode())
    else:
        for one in found:
            _show(one)
        for reason, count in quarantine.items():
            typer.echo(f"QUARANTINE  {reason}: {count}")
    raise typer.Exit(1 if quarantine else 0)


@app.command()
def export(
    journal: Journal = None,
    form: Annotated[Format, typer.Option("--format", help="Form of a line.")] = Format.CLOUDEVENTS,
    out: Annotated[Path | None, typer.Option(help="File to write; default: output.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this number.")] = 0,
    central: Annotated[
        bool, typer.Option("--central", help="Every chain in PostgreSQL, not this home's files.")
    ] = False,
) -> None:
    """Write the usage events as CloudEvents 1.0, one a line; each journal's own numbers count."""
    settings = Settings()
    chosen(settings, journal, after=after, central=central)
    with ExitStack() as stack:
        target: BinaryIO = sys.stdout.buffer if out is None else stack.enter_context(out.open("wb"))
        if central:
            for line in _stored(read_store(settings)):
                target.write(line + b"\n")
            return
        for path in named(settings.home, journal, journals_in(settings.home)):
            with closing(connect_reading(path)) as db:
                for line in usage_lines(db, after):
                    target.write(line + b"\n")


def _stored(dsn: str) -> Iterator[bytes]:
    with closing(ChainReader(dsn)) as reader:
        for chain in reader.chains():
            for event in reader.recorded(chain.journal_id):
                if event.usage is not None:
                    yield usage_line(chain.journal_id, event.seq, event.usage)


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError("password_file", f"{path} cannot be read.") from error


def _report(found: list[Found], as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps([_shipped(one) for one in found]).decode())
    else:
        for one in found:
            said = _shipped(one)
            done = (
                "held by a running process"
                if one.held
                else (
                    f"event {said['upto']} of {said['head']}: {said['new']} new,"
                    f" {said['duplicate']} known, {said['quarantined']} in quarantine"
                )
            )
            typer.echo(f"{one.path}  {done}")
    raise typer.Exit(0 if only_whole(found) else 1)


def _shipped(one: Found) -> dict[str, object]:
    done = one.shipped
    known = ("journal_id", "upto", "head", "new", "duplicate", "quarantined")
    told = {} if done is None else {name: getattr(done, name) for name in known}
    return {"path": str(one.path), "held": one.held, **told}


def _row(one: Status) -> dict[str, object]:
    names = ("journal_id", "head", "last", "held", "shipped", "unshipped")
    return {"path": str(one.path), **{name: getattr(one, name) for name in names}}


def _show(one: Status) -> None:
    held = "held" if one.held else "free"
    left = "no central store" if one.unshipped is None else f"{one.unshipped} not shipped"
    typer.echo(f"{one.path}  {held}  {one.head} events, last {one.last or '-'}  {left}")
