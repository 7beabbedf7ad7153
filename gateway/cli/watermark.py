"""`sluice watermark`: whose copy a leaked file is, which answer a mark is of, and the keys.

Tracing and looking up name an organisation, so both ask for a person of the office who may, and
both are in the staff's record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from gateway.catalogue.load import load_catalogue
from gateway.cli.office import Actor, Json, Reason, act_now, by_edition, contents, office, say, show
from gateway.db.engine import reading, writing
from gateway.errors import OperatorError
from gateway.identity.record import append
from gateway.identity.secrets import secret
from gateway.journal.neighbours import journals_in
from gateway.serving.watermark import tag
from gateway.settings import Settings
from gateway.staff.accounts import accounts
from gateway.staff.model import RECORD
from gateway.staff.operations import load_operations
from gateway.watermark.keys import keys_in, rotate
from gateway.watermark.leaked import read_leaked
from gateway.watermark.lookup import look_up
from gateway.watermark.tracing import Trace, copies, trace

app = typer.Typer(help="Marks of what leaves: trace, look up, rotate.", no_args_is_help=True)

_INDEX = "watermark-index.db"
_SHOWN = 5


@app.command("trace")
def trace_(
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON, JSON, Parquet, Arrow or XLSX.")],
    *,
    release: Annotated[
        str, typer.Option(help="The release it is of; default: every one there is.")
    ] = "",
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Name the tenants whose copy a file is; exit 1 where nobody can be named."""
    settings = Settings()
    leaked = read_leaked(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with office(settings) as engine:
        _authorise(engine, settings, "watermark.trace", actor)
        with by_edition(settings) as live:
            services = load_catalogue(live.policies).services
        found = copies(settings.releases, services, release)
        if not found:
            raise OperatorError(
                "watermark.release", "There is no such release with marked figures."
            )
        tenants = sorted(contents(settings).tenants)
        traces = trace(leaked, found, keys_in(settings.keys), tenants)
        best = traces[0]
        told = {"file": sha256, "release": best.release, "named": [v.tenant for v in best.named]}
        _record(engine, actor, reason, ("trace", sha256[:32]), told)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in traces], ensure_ascii=False))
    else:
        _tell(best)
    raise typer.Exit(0 if best.named else 1)


@app.command("lookup")
def lookup(
    mark: Annotated[str, typer.Argument(help="The mark: header Sluice-Watermark or meta.")],
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """The answer that carries a mark: whose, when, of what."""
    settings = Settings()
    made = partial(tag, secret(settings.keys, "watermark"))
    with office(settings) as engine:
        _authorise(engine, settings, "watermark.lookup", actor)
        found = look_up(mark, settings.home / _INDEX, journals_in(settings.home), made)
        tenant = str(found.event["tenant"])
        _record(engine, actor, reason, ("lookup", mark[:32]), {"named": [tenant]})
    shown = ("time", "tenant", "decision_id", "request_id", "service", "release", "query_shape")
    told = {
        **{name: found.event.get(name) for name in shown},
        "journal": found.journal,
        "genuine": found.genuine,
    }
    lines = [f"{name:<12}{value}" for name, value in told.items()]
    say(told, as_json, "\n".join(lines))


@app.command("keys")
def keys(as_json: Json = False) -> None:
    """Every key by its id, and from when on releases are marked with it."""
    rows = [{"key_id": key.id, "since": key.since.isoformat()} for key in keys_in(Settings().keys)]
    show(rows, ("key_id", "since"), as_json)


@app.command("rotate")
def rotate_(reason: Reason = "", actor: Actor = "", as_json: Json = False) -> None:
    """Mark the releases from now on with a new key; older releases keep theirs."""
    settings = Settings()
    with office(settings) as engine:
        _authorise(engine, settings, "watermark.rotate", actor)
        key = rotate(settings.keys, datetime.now(UTC))
        _record(engine, actor, reason, ("rotate", key.id), {"key_id": key.id})
    told = {"key_id": key.id, "since": key.since.isoformat()}
    say(told, as_json, f"Key {key.id} marks releases made from {key.since:%Y-%m-%d %H:%M:%S} UTC.")


def _authorise(engine: sa.Engine, settings: Settings, operation: str, actor: str) -> None:
    """The actor is a person of the office who may do this."""
    operations = load_operations(settings.policies)
    name = act_now(actor).actor
    with reading(engine) as session:
        held = {one.name: one for one in accounts(session) if one.state == "active"}
    if name not in held or not operations.allows(operation, held[name].roles):
        roles = ", ".join(sorted(operations.table.get(operation, ())))
        raise OperatorError(
            "watermark.role",
            f"{operation} is for an active account of the office with one of: {roles};"
            " name it with --actor.",
        )


def _record(
    engine: sa.Engine, actor: str, reason: str, of: tuple[str, str], after: Mapping[str, object]
) -> None:
    """Write into the staff's record who was named to whom."""
    action, name = of
    with writing(engine) as session:
        act = act_now(actor, reason)
        append(session, RECORD, act, action, ("watermark", name), before=None, after=dict(after))


def _tell(best: Trace) -> None:
    typer.echo(f"release   {best.release}  profile {best.profile}  key {best.key_id}")
    typer.echo(f"joined    {best.joined:,} of {best.rows:,} rows by {best.way}")
    for one in best.columns:
        typer.echo(
            f"column    {one.column} = {one.measure} in {one.unit}, {one.rounding}:"
            f" {one.values:,} values, {one.readings:,} readings"
        )
    typer.echo(f"compared  {best.readings:,} readings with {best.tenants:,} tenants")
    for verdict in best.verdicts[:_SHOWN]:
        word = "NAMED   " if verdict.named else "not sure"
        typer.echo(
            f"{word}  {verdict.tenant}  agrees in {verdict.agreeing:,} of {verdict.readings:,}"
            f" ({verdict.way}); any innocent tenant would with a chance of at most"
            f" {verdict.false_at_most:.1e}"
        )
    if not best.named:
        typer.echo("Nobody can be named: the chance of naming an innocent would be above 1e-06.")
