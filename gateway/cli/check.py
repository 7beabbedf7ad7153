"""`sluice check`: whether what the settings name is there, part by part, before anything serves."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, NamedTuple, TypeAlias

import asyncpg
import httpx
import typer

from gateway.catalogue.load import load_catalogue
from gateway.cli.office import Json, by_edition
from gateway.db.dsn import read_dsn
from gateway.db.engine import open_engine
from gateway.db.fitness import faults
from gateway.db.place import database_url, ready_database, stands
from gateway.errors import OperatorError
from gateway.identity.boundaries import load_boundaries
from gateway.journal.postgres import check_rights, connect
from gateway.journal.postgres_schema import unreachable
from gateway.policy.engines import read_token
from gateway.quota.opening import open_store
from gateway.quota.port import CHECKER, QuotaUnproven
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings

_SECONDS = 5.0


class Finding(NamedTuple):
    """A part that cannot be used, or that several replicas cannot share."""

    part: str
    code: str
    sentence: str


Check: TypeAlias = Callable[[Settings], Iterator[tuple[str, str]]]


def verb(
    *,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="Also refuse what only one process can use.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say exactly what is missing; exit 1 when anything is."""
    found = findings(Settings(), replicas=replicas)
    if as_json:
        typer.echo(json.dumps({"ok": not found, "findings": [one._asdict() for one in found]}))
    else:
        for one in found:
            typer.echo(f"{one.part}: {one.sentence} [{one.code}]")
        if not found:
            typer.echo("everything the settings name is there")
    raise typer.Exit(1 if found else 0)


def findings(settings: Settings, *, replicas: bool) -> list[Finding]:
    """What is missing, part by part; one part's trouble hides no other's."""
    found = []
    parts: Mapping[str, Check] = {**_PARTS, **({"replicas": _replicas} if replicas else {})}
    for part, check in parts.items():
        try:
            found += [Finding(part, *one) for one in check(settings)]
        except OperatorError as error:
            found.append(Finding(part, error.code, error.message))
    return found


def _home(settings: Settings) -> Iterator[tuple[str, str]]:
    for folder in (settings.home, settings.keys):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            yield "home_not_writable", f"{folder} must be writable for the user of this process."


def _database(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.database_dsn_file is None:
        ready_database(settings)
        return
    stands(settings)  # whether it can be asked at all
    engine = open_engine(database_url(settings))
    try:
        yield from faults(engine)
    finally:
        engine.dispose()
    ready_database(settings)


def _journal(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.postgres_dsn_file is not None:
        asyncio.run(_store_fits(read_dsn(settings.postgres_dsn_file)))
    yield from ()


async def _store_fits(dsn: str) -> None:
    try:
        store = await connect(dsn, "sluice check", _SECONDS)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise unreachable(error) from error
    try:
        await check_rights(store)
    finally:
        await store.close()


def _quotas(settings: Settings) -> Iterator[tuple[str, str]]:
    store = open_store(settings)

    async def ask() -> str:
        try:
            await store.begin(CHECKER)
        except QuotaUnproven as error:
            return error.reason
        finally:
            await store.close()
        return ""

    reason = asyncio.run(ask()) if store.shared else ""
    if reason:
        yield (
            "quota_not_open",
            f"The store of the quotas gives nothing ({reason}): check that it runs, then "
            "`sluice quota rebuild` opens its count.",
        )


def _policy(settings: Settings) -> Iterator[tuple[str, str]]:
    with by_edition(settings) as live:
        load_boundaries(live.policies)
    if settings.policy_engine != "opa":
        return
    if settings.policy_bundle_token_file is None:
        yield (
            "bundle_off",
            "OPA gets its rules from this gateway: set SLUICE_POLICY_BUNDLE_TOKEN_FILE.",
        )
    else:
        read_token(settings.policy_bundle_token_file)
    try:
        # Health alone: it may have fetched no bundle yet, as this gateway does not serve yet.
        httpx.get(f"{settings.opa_url}/health", timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        yield (
            "opa_unreachable",
            f"No OPA answers at SLUICE_OPA_URL ({type(error).__name__}): start it with the output "
            "of `sluice policy opa-config`.",
        )


def _releases(settings: Settings) -> Iterator[tuple[str, str]]:
    releases = ReleaseStore(settings.releases)
    with by_edition(settings) as live:
        released = load_catalogue(live.policies).released
    known = [service for service in released if releases.in_force(service)]
    if not known:
        yield (
            "no_release",
            f"There is no release under {settings.releases}: run `sluice release build` first.",
        )
    for service in known:
        if releases.latest(service) is None:
            yield "release_unreadable", f"The release in force of {service} cannot be read."


def _replicas(settings: Settings) -> Iterator[tuple[str, str]]:
    """What one process alone may use."""
    if settings.database_dsn_file is None:
        yield "database_alone", "Replicas share a PostgreSQL: set SLUICE_DATABASE_DSN_FILE."
    if settings.postgres_dsn_file is None:
        yield "journal_alone", "Replicas ship to a PostgreSQL: set SLUICE_POSTGRES_DSN_FILE."
    if settings.quota_store == "embedded":
        yield (
            "quota_alone",
            "Replicas share a count: set SLUICE_QUOTA_STORE to redis or postgres.",
        )
    if not settings.issuer:
        yield "issuer_own", "Replicas have one public address: set SLUICE_ISSUER."


_PARTS: Mapping[str, Check] = {
    "home": _home,
    "database": _database,
    "journal": _journal,
    "quotas": _quotas,
    "policy": _policy,
    "releases": _releases,
}
