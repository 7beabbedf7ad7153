"""`sluice quota`: the count that replicas share."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.tariff import charged_by
from gateway.cli.office import by_edition
from gateway.db.dsn import read_dsn
from gateway.errors import OperatorError
from gateway.journal.neighbours import journals_in
from gateway.quota.leases import GRACE, TTL
from gateway.quota.opening import shared_store
from gateway.quota.port import CHECKER, Holdings, QuotaUnproven
from gateway.quota.postgres import PostgresStore
from gateway.quota.pricing import of_parts
from gateway.quota.valkey import ValkeyStore
from gateway.serving.recount import Recount
from gateway.settings import Settings

app = typer.Typer(help="The count of quotas that replicas share.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keeps `quota` a group of verbs."""


@app.command()
def rebuild(
    homes: Annotated[
        list[Path] | None,
        typer.Argument(help="Every home that nodes answer from; default: this one."),
    ] = None,
    owner_dsn_file: Annotated[
        Path | None, typer.Option(help="File with the DSN of the owner of sluice_quota.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="Role of the gateway, which may lease from the count.")
    ] = None,
    all_stopped: Annotated[
        bool,
        typer.Option("--all-stopped", help="No gateway runs anywhere: do not wait for any."),
    ] = False,
    unless_open: Annotated[
        bool,
        typer.Option("--unless-open", help="Do nothing where the count is open: for a schedule."),
    ] = False,
) -> None:
    """Open the shared count with what the journals say was used.

    Once before its first use, and after the store lost its memory. Waits until nothing that was
    given before is good any more, on whatever host; with --all-stopped it takes your word.
    """
    settings = Settings()
    store = shared_store(settings)
    if owner_dsn_file is not None:
        store = PostgresStore(read_dsn(owner_dsn_file))
    if unless_open and asyncio.run(_is_open(shared_store(settings))):
        typer.echo("The count is open.")
        return
    paths = [path for home in homes or [settings.home] for path in journals_in(home)]
    count = asyncio.run(_rebuild(settings, store, paths, role, wait=not all_stopped))
    typer.echo(f"The count is open; {len(count)} counters of {len(paths)} journals are in use.")


async def _is_open(store: ValkeyStore | PostgresStore) -> bool:
    try:
        await store.begin(CHECKER)
    except QuotaUnproven:
        return False
    else:
        return True
    finally:
        await store.close()


async def _rebuild(
    settings: Settings,
    store: ValkeyStore | PostgresStore,
    paths: list[Path],
    role: str | None,
    *,
    wait: bool,
) -> Holdings:
    try:
        if isinstance(store, PostgresStore):
            await store.make(role)
        await store.shut()
        if wait:
            await _outwait()
        used = await _used(settings, paths)
        await store.open(used)
    except QuotaUnproven as error:
        raise OperatorError(
            "quota_store", f"The store of the quotas cannot be reached ({error.reason})."
        ) from error
    finally:
        await store.close()
    return used


async def _outwait() -> None:
    """Until every slab that was given before is void, and what was served from it is on record.

    A gateway on another host is not seen from here, so nothing but the time tells.
    """
    typer.echo(f"Waiting {TTL + GRACE:.0f} s for what gateways may still hold.", err=True)
    await asyncio.sleep(TTL + GRACE)


async def _used(settings: Settings, paths: list[Path]) -> Holdings:
    with by_edition(settings) as live:
        price = partial(charged_by, load_catalogue(live.policies).tariffs)
    recount = Recount(datetime.now(UTC), of_parts(price))
    for path in paths:
        recount.add_file(path)
    if settings.postgres_dsn_file is not None:
        await recount.add_central(read_dsn(settings.postgres_dsn_file))
    return recount.used()
