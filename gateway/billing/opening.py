"""Open the billing office of an installation: its journals, the live edition's prices, its key."""

from __future__ import annotations

import asyncio
from functools import partial

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.central import verify_store
from gateway.billing.agreed import read_agreed
from gateway.billing.office import Office
from gateway.billing.seal import Sealer
from gateway.billing.sources import archive_of, events_of
from gateway.db.dsn import read_dsn
from gateway.db.engine import reading
from gateway.editions.published import former_prices
from gateway.editions.store import edition_key, live_folder
from gateway.errors import OperatorError
from gateway.identity.secrets import secret
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.events import home_journals
from gateway.journal.janitor import status
from gateway.settings import Settings

SECRET = "statement"  # noqa: S105 - the name of a file in the key folder


def statement_sealer(settings: Settings) -> Sealer:
    """What signs statements."""
    return Sealer(Ed25519PrivateKey.from_private_bytes(secret(settings.keys, SECRET)))


def open_billing(settings: Settings, engine: sa.Engine) -> Office:
    """The office on an open database; says so where nothing was recorded yet."""
    key = settings.keys / PUBLIC_KEY
    events = events_of(settings)
    if not key.is_file() or not events.heads():
        raise OperatorError("no_journal", "Nothing was answered from this home yet: no journal.")
    with live_folder(engine, settings.keys, settings.policies) as live:
        agreed = read_agreed(live, settings.policies)
    with reading(engine) as session:
        former = former_prices(session, edition_key(settings.keys), agreed.tariffs)
    return Office(
        engine=engine,
        events=events,
        archive=archive_of(settings),
        releases=settings.releases,
        tariffs=agreed.tariffs,
        terms=agreed.terms,
        audit_key=public_key(key),
        sealer=statement_sealer(settings),
        former=former,
        committed=agreed.committed,
        labels=agreed.labels,
        hindrances=partial(store_hindrances, settings),
    )


def store_hindrances(settings: Settings) -> list[str]:
    """What the central store, where there is one, has not or could not take over."""
    if settings.postgres_dsn_file is None:
        return []
    dsn, spools_ = read_dsn(settings.postgres_dsn_file), list(home_journals(settings.home).files())
    found, quarantine = asyncio.run(status(dsn, spools_))
    behind = [
        f"{one.path.name} has {one.unshipped} unshipped events" for one in found if one.unshipped
    ]
    aside = [f"{count} events are in quarantine ({why})" for why, count in quarantine.items()]
    verdicts = verify_store(dsn, settings.home, public_key(settings.keys / PUBLIC_KEY))
    touched = [
        f"audit: {finding.code} at event {finding.first} of {chain.journal_id}"
        for chain, verdict in verdicts
        for finding in verdict.findings
    ]
    return [*behind, *aside, *touched]
