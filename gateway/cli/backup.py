"""`sluice backup`: copies of a home, made beside running servers, checked and put back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from gateway.backup.home import create, restore
from gateway.backup.manifest import Manifest, check
from gateway.cli.office import Json
from gateway.settings import Settings

app = typer.Typer(help="Backups of this home: make, verify, restore.", no_args_is_help=True)

Backup: TypeAlias = Annotated[Path, typer.Argument(help="Folder of the backup.")]


@app.command("create")
def create_(
    backup: Annotated[Path, typer.Argument(help="Folder to make; must not exist.")],
    keys: Annotated[
        bool, typer.Option("--keys", help="The keys, and nothing else; keep them apart.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy what this home holds, as at one moment, beside running servers; keys only by --keys."""
    manifest = create(Settings(), backup, datetime.now(UTC), "keys" if keys else "data")
    _tell(manifest, f"made at {backup}", as_json)
    if manifest.elsewhere and not as_json:
        typer.echo("The operational database is a PostgreSQL: deploy/postgres backs it up.")


@app.command()
def verify(backup: Backup, as_json: Json = False) -> None:
    """Read every file of a backup; exit 1 when one is not as listed or a database is not whole."""
    _tell(check(backup), "whole", as_json)


@app.command("restore")
def restore_(backup: Backup, as_json: Json = False) -> None:
    """Put a whole backup into this home, which must be new; a damaged one changes nothing."""
    manifest = restore(backup, Settings())
    _tell(manifest, "restored", as_json)
    if manifest.part == "data" and not as_json:
        typer.echo("Now the keys, then `sluice audit verify` and `sluice meter verify`.")


def _tell(manifest: Manifest, what: str, as_json: bool) -> None:
    size = sum(one.bytes for one in manifest.files.values())
    told = {"part": manifest.part, "made": manifest.made, "files": len(manifest.files)}
    plain = (
        f"Backup of the {manifest.part} of {manifest.made}, {len(manifest.files)} files: {what}."
    )
    typer.echo(json.dumps({**told, "bytes": size}) if as_json else plain)
