"""`sluice audit archive`: half a year at hand, five years in files, then gone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit import archive as archives
from gateway.audit.archive_store import archive_store
from gateway.cli.office import Actor, Json, act_now, record_here
from gateway.db.dsn import read_dsn
from gateway.errors import OperatorError
from gateway.journal.checkpoint import signing_key
from gateway.journal.neighbours import journals_in
from gateway.settings import Settings


def archive(
    expire: Annotated[
        bool, typer.Option("--expire", help="Also remove what is older than five years.")
    ] = False,
    owner_dsn_file: Annotated[
        Path | None, typer.Option(help="With PostgreSQL: file with the DSN of the tables' owner.")
    ] = None,
    actor: Actor = "",
    as_json: Json = False,
) -> None:
    """Move events older than 180 days out of this home's journals, or out of PostgreSQL, into
    signed files; also beside running servers. Nothing younger is touched, whatever is asked."""
    settings, now = Settings(), datetime.now(UTC)
    key = signing_key(settings.keys)
    if settings.postgres_dsn_file is not None:
        told = [_of_store(settings, owner_dsn_file, key, now, expire=expire)]
    else:
        told = [_of_file(path, key, now, expire=expire) for path in journals_in(settings.home)]
    for one in told:
        if one["archived"] or one["removed"]:
            record_here(settings, act_now(actor), "archive", ("archive", str(one["journal"])), one)
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    else:
        for one in told:
            _say(one)


def _of_file(
    journal: Path, key: Ed25519PrivateKey, now: datetime, *, expire: bool
) -> dict[str, object]:
    made = archives.archive(journal, key, now)
    gone = archives.expire(journal, now) if expire else []
    return {"journal": journal.name, "archived": list(map(asdict, made)), "removed": gone}


def _of_store(
    settings: Settings, owner: Path | None, key: Ed25519PrivateKey, now: datetime, *, expire: bool
) -> dict[str, object]:
    if owner is None:
        raise OperatorError(
            "archive.owner",
            "The gateway's role may only add to PostgreSQL: give --owner-dsn-file. The journals of"
            " this home are spools of it; remove those that are shipped whole.",
        )
    made, gone = archive_store(read_dsn(owner), settings.home, key, now, expire=expire)
    return {"journal": "PostgreSQL", "archived": list(map(asdict, made)), "removed": gone}


def _say(told: dict[str, object]) -> None:
    made, gone = told["archived"], told["removed"]
    events = sum(each["events"] for each in made) if isinstance(made, list) else 0
    typer.echo(f"{told['journal']}  {events} events archived, {gone or 'nothing'} removed")
