"""Identity put together: database, directory, keys, proofs and verifier of one process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from authlib.common.security import is_secure_transport

from gateway.db.engine import open_engine
from gateway.db.place import ready_database
from gateway.errors import OperatorError
from gateway.identity.binding import TrustedProxies, networks_of
from gateway.identity.boundaries import load_boundaries
from gateway.identity.caretaker import Caretaker
from gateway.identity.directory import Directory, Snapshot
from gateway.identity.dpop import ProofChecker
from gateway.identity.jwks_remote import FetchRule
from gateway.identity.keyring import (
    GmRing,
    Ring,
    ensure_gm_keys,
    ensure_keys,
    load_gm_ring,
    load_ring,
)
from gateway.identity.metadata import resource_metadata_url, resource_of
from gateway.identity.narrowing import Boundaries
from gateway.identity.record import Act
from gateway.identity.replay import ReplayGuard
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import TokenRule
from gateway.identity.verifier import Verifier
from gateway.settings import Settings

Clock = Callable[[], datetime]
Lead = Callable[[], timedelta]

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The one clock of identity's edge."""
    return datetime.now(UTC)


class _CurrentRing:
    """The key ring, replaced whenever the directory changed."""

    def __init__(self, load: Callable[[], Ring]) -> None:
        self._load = load
        self._ring = load()

    def __call__(self) -> Ring:
        return self._ring

    def reload(self, _snapshot: Snapshot) -> None:
        self._ring = self._load()


class _CurrentGmRing:
    """The SM2 ring, made with the first tenant of the GM profile and then followed like the other.

    Where a library or a file is missing there is none: answers that need it are refused, nobody
    else's.
    """

    def __init__(self, engine: sa.Engine, keys: Path, clock: Clock) -> None:
        self._engine, self._keys, self._clock = engine, keys, clock
        self._ring: GmRing | None = None

    def __call__(self) -> GmRing | None:
        return self._ring

    def reload(self, snapshot: Snapshot) -> None:
        wanted = any(tenant.crypto == "gm" for tenant in snapshot.tenants.values())
        try:
            self._ring = load_gm_ring(self._engine, self._keys, self._clock())
            if wanted and self._ring is None:
                act = Act("sluice", self._clock(), "first tenant of the GM profile")
                ensure_gm_keys(self._engine, self._keys, act)
                self._ring = load_gm_ring(self._engine, self._keys, self._clock())
        except OperatorError as error:
            _log.error("no GM signing key: %s", error.code)
            self._ring = None


@dataclass(frozen=True)
class Identity:
    """What the API needs of identity; `start` before serving, `close` after."""

    issuer: str
    engine: sa.Engine
    directory: Directory
    ring: Callable[[], Ring]
    gm_ring: Callable[[], GmRing | None]
    rule: TokenRule
    replay: ReplayGuard
    proofs: ProofChecker
    revocations: Revocations
    proxies: TrustedProxies
    verifier: Verifier
    caretaker: Caretaker
    clock: Clock

    def start(self) -> None:
        """Begin to follow changes of the directory, and revocations."""
        self.directory.refresh()  # what was read at the opening may be seconds old by now
        self.directory.start()
        self.revocations.start()
        self.caretaker.start()

    def close(self) -> None:
        """Stop following and let go of the database."""
        self.caretaker.stop()
        self.revocations.stop()
        self.directory.stop()
        self.engine.dispose()


def prepare_database(settings: Settings, now: datetime) -> sa.Engine:
    """The operational database at the newest schema, with signing keys; made when absent."""
    engine = open_engine(ready_database(settings))
    ensure_keys(engine, settings.keys, Act("sluice", now, "first start"))
    return engine


def open_identity(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    bounds: Boundaries | None = None,
    lead: Lead = timedelta,
) -> Identity:
    """Identity for these settings; refuses an issuer that would send tokens in clear text.

    `lead`: how far the clock is ahead of the callers', as a sandbox's may be."""
    issuer = settings.base_url
    if not is_secure_transport(issuer):
        raise OperatorError(
            "settings.issuer",
            f"The issuer {issuer} must be https (or http on localhost): set SLUICE_ISSUER.",
        )
    engine = prepare_database(settings, clock())
    directory = Directory(engine, bounds or load_boundaries(settings.policies))
    ring = _CurrentRing(lambda: load_ring(engine, settings.keys, clock()))
    directory.on_change(ring.reload)
    gm_ring = _CurrentGmRing(engine, settings.keys, clock)
    directory.on_change(gm_ring.reload)
    rule = TokenRule(issuer, resource_of(issuer), settings.env, settings.token_ttl_seconds)
    replay, proofs, revocations = (
        ReplayGuard(engine),
        ProofChecker(lead),
        Revocations(engine, clock),
    )
    return Identity(
        issuer=issuer,
        engine=engine,
        directory=directory,
        ring=ring,
        gm_ring=gm_ring,
        rule=rule,
        replay=replay,
        proofs=proofs,
        revocations=revocations,
        proxies=TrustedProxies(networks_of(settings.proxies), settings.client_cert_header.lower()),
        verifier=Verifier(
            rule,
            directory,
            revocations=revocations,
            proofs=proofs,
            ring=ring,
            metadata_url=resource_metadata_url(issuer),
        ),
        caretaker=Caretaker(
            engine, directory, clock, FetchRule(settings.fetch_loopback, settings.fetch_ca)
        ),
        clock=clock,
    )
