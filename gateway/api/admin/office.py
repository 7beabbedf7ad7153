"""What the administration's endpoints work with, put together once per process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from anyio import CapacityLimiter
from argon2 import PasswordHasher

from gateway.adjudication.terms import Terms, read_terms
from gateway.billing.office import Office as BillingOffice
from gateway.billing.opening import open_billing
from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.editions.office import PolicyOffice
from gateway.editions.trial import Trials
from gateway.identity.desk import Identity
from gateway.identity.directory import Directory
from gateway.identity.keyring import Ring
from gateway.identity.narrowing import Boundaries
from gateway.identity.secrets import secret
from gateway.jobs.airlock import Airlock, egress_rules
from gateway.jobs.views import Inputs
from gateway.journal.activity import Activity, StoredActivity, activity
from gateway.journal.looking import Looking, looking
from gateway.journal.neighbours import journals_in
from gateway.policy.documents import read_documents
from gateway.privacy.terms import yearly_budget
from gateway.releases.coverage import released
from gateway.releases.store import ReleaseStore
from gateway.serving.watermark import tag
from gateway.settings import Settings
from gateway.staff.operations import Operations, load_operations
from gateway.staff.secrets import Passwords, Sealer
from gateway.staff.signing_in import Door
from gateway.watermark.keys import MarkKey, keys_in
from gateway.watermark.lookup import Mark
from sandbox.jobs.book import JobBook

SECRET = "staff"  # noqa: S105 — the name of a file in the key folder


@dataclass(frozen=True)
class Offer:
    """What is on offer: the live edition's catalogue, and the releases below a folder."""

    catalogue: Callable[[], Catalogue]
    releases: ReleaseStore
    root: Path
    budget: Callable[[], Fraction | None]  # the most ε a geography may lose in a year


@dataclass(frozen=True)
class Leaks:
    """What a leaked file or a mark is held against."""

    index: Path
    journals: Callable[[], Iterable[Path]]
    mark: Mark
    keys: Callable[[], tuple[MarkKey, ...]]


@dataclass(frozen=True)
class Office:
    """The office of this process: who may do what, and what it is done with."""

    engine: sa.Engine
    keys: Path
    issuer: str
    operations: Operations
    directory: Directory
    ring: Callable[[], Ring]
    sealer: Sealer
    passwords: Passwords
    door: Door
    clock: Callable[[], datetime]
    editions: PolicyOffice
    journal: Looking
    billing: Callable[[], BillingOffice]  # opened anew each time: prices follow the edition
    rule_terms: Callable[[], Terms]  # what insurers' rule packages may tell
    airlock: Airlock
    offer: Offer
    activity: Activity | StoredActivity  # what was asked lately, counted
    leaks: Leaks
    trials: Trials = field(default_factory=Trials)
    conformance_keys: Path | None = None  # a JWK set of the sandboxes whose reports are believed
    # Threads of its own: whoever knocks at this door holds up nothing else, and no officer inside.
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(8))
    heavy_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    door_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    upstream_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))

    @property
    def bounds(self) -> Boundaries:
        """What grants are measured against: the live edition's."""
        return self.directory.bounds

    @property
    def secure(self) -> bool:
        """Whether browsers reach the office by TLS, so that cookies can insist on it."""
        return self.issuer.startswith("https://")


def open_office(
    settings: Settings,
    identity: Identity,
    hasher: PasswordHasher | None = None,
    *,
    catalogue: Callable[[], Catalogue] | None = None,
) -> Office:
    """The office on the open database; the catalogue is that of the folder unless one is given."""
    sealer = Sealer(secret(settings.keys, SECRET))
    passwords = Passwords(hasher or PasswordHasher())
    return Office(
        engine=identity.engine,
        keys=settings.keys,
        issuer=identity.issuer,
        operations=load_operations(settings.policies),
        directory=identity.directory,
        ring=identity.ring,
        sealer=sealer,
        passwords=passwords,
        door=Door(identity.engine, sealer, passwords, identity.clock),
        clock=identity.clock,
        conformance_keys=settings.conformance_keys,
        editions=PolicyOffice(settings.keys, settings.policies, released(settings.releases)),
        journal=looking(settings),
        billing=partial(open_billing, settings, identity.engine),
        rule_terms=partial(read_terms, settings.policies),
        activity=activity(settings),
        leaks=Leaks(
            index=settings.home / "watermark-index.db",
            journals=lambda: journals_in(settings.home),
            mark=partial(tag, secret(settings.keys, "watermark")),
            keys=lambda: keys_in(settings.keys),
        ),
        offer=Offer(
            catalogue=catalogue or partial(load_catalogue, settings.policies),
            releases=ReleaseStore(settings.releases),
            root=settings.releases,
            budget=partial(_budget, settings.policies),
        ),
        airlock=Airlock(
            book=JobBook(identity.engine, identity.clock),
            root=settings.home / "sandbox",
            inputs=Inputs(settings.home / "packs", settings.home / "views"),
            rules=partial(egress_rules, settings.policies),
        ),
    )


def _budget(policies: Path) -> Fraction | None:
    return yearly_budget(read_documents(policies)["sdc_profiles"])
