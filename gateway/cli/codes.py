"""`sluice codes`: build, list and verify bundles of code lists."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.codes.publishing import publish, verify
from gateway.codes.shelf import current, manifests
from gateway.codes.sources import SHIPPED, read_source
from gateway.errors import OperatorError
from gateway.settings import Settings

app = typer.Typer(help="Code lists that may be looked up (S27).", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command()
def build(
    folder: Annotated[
        Path, typer.Argument(help="Folder with lists.yaml; default: the lists shipped.")
    ] = SHIPPED,
    *,
    as_json: Json = False,
) -> None:
    """Build a bundle of the folder's lists and make it current; earlier ones stay."""
    made = publish(Settings().codes, read_source(folder), datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(asdict(made)))
    else:
        typer.echo(f"{made.name}  {made.lists} lists  {made.codes} codes  sha256 {made.sha256}")


@app.command("list")
def list_bundles(*, as_json: Json = False) -> None:
    """The bundles there are; a star marks the current one."""
    now = current(Settings().codes)
    found = manifests(Settings().codes)
    if as_json:
        told = [{**asdict(one), "current": one.name == now} for one in found]
        typer.echo(json.dumps(told))
        return
    for one in found:
        typer.echo(f"{'*' if one.name == now else ' '} {one.name}  {one.built}  {one.codes} codes")


@app.command("verify")
def verify_bundles() -> None:
    """Compare each bundle with its name and digest; fails where one is not what it says."""
    found = list(verify(Settings().codes))
    for name, fault in found:
        typer.echo(f"{name}  {fault or 'ok'}")
    if not found:
        raise OperatorError("codes_none", "There is no bundle: run `sluice codes build` first.")
    if any(fault for _, fault in found):
        raise OperatorError("codes_damaged", "A bundle is not what it says; build it anew.")
