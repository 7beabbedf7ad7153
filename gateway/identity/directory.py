"""The directory in memory: one immutable snapshot, replaced within a second of any change.

The hot path reads `Directory.snapshot`, an attribute; a thread of its own asks the database for the
revision and reloads when it grew. When the database has not answered for `STALE_AFTER` seconds the
directory refuses to be used (`check_fresh`): a suspension that cannot be heard must not be missed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from gateway.db.engine import reading
from gateway.db.rounds import Rounds
from gateway.errors import Unavailable
from gateway.identity.jwks import VerificationKey, read_keys
from gateway.identity.model import (
    HEARD_TENANTS,
    OPEN_STOP_KINDS,
    PERSON,
    Client,
    Document,
    Grant,
    Product,
    Tenant,
)
from gateway.identity.narrowing import Boundaries, Widening, widenings
from gateway.identity.store import Contents, read_contents, read_revision

POLL_SECONDS = 0.25
STALE_AFTER = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """The directory at one revision, laid out for look-up."""

    revision: int
    tenants: Mapping[str, Tenant]
    clients: Mapping[str, Client]
    grants: Mapping[str, tuple[Grant, ...]]  # by tenant; only grants that narrow their scenario
    rejected: Mapping[str, tuple[Widening, ...]]  # by grant id: why it is left out
    keys: Mapping[str, tuple[VerificationKey, ...]]  # by client
    live_clients: Mapping[str, Tenant]  # active clients that may be heard, with their tenant
    products: Mapping[str, Product]
    policy_data: Document = field(repr=False)
    stopped_persons: frozenset[str] = field(repr=False)  # internal references
    contents: Contents = field(repr=False)  # what it was laid out from


def take_snapshot(contents: Contents, bounds: Boundaries) -> Snapshot:
    """Lay the directory out; grants that widen their scenario are left out and named."""
    bounds = bounds.with_regions(contents.region_flags)
    grants: dict[str, list[Grant]] = {}
    rejected: dict[str, tuple[Widening, ...]] = {}
    for grant in contents.grants.values():
        faults = widenings(grant, contents.tenants[grant.tenant], bounds)
        if faults:
            rejected[grant.id] = faults
        else:
            grants.setdefault(grant.tenant, []).append(grant)
    by_tenant = {tenant: tuple(listed) for tenant, listed in grants.items()}
    return Snapshot(
        revision=contents.revision,
        tenants=contents.tenants,
        clients=contents.clients,
        grants=by_tenant,
        rejected=rejected,
        keys={each.id: read_keys(each.jwks) for each in contents.clients.values()},
        live_clients=_live_clients(contents),
        products=contents.products,
        policy_data=_policy_data(contents, by_tenant, bounds),
        stopped_persons=frozenset(s.target for s in contents.stops if s.kind == PERSON),
        contents=contents,
    )


def _live_clients(contents: Contents) -> dict[str, Tenant]:
    """Clients whose own state, product and tenant let them be heard at all."""
    return {
        client.id: contents.tenants[client.tenant_id]
        for client in contents.clients.values()
        if client.status == "active"
        and contents.tenants[client.tenant_id].status in HEARD_TENANTS
        and _product_is_active(client, contents)
    }


def _product_is_active(client: Client, contents: Contents) -> bool:
    if client.product_id is None:
        return True
    product = contents.products.get(client.product_id)
    return product is not None and product.status == "active"


def _policy_data(
    contents: Contents, grants: Mapping[str, tuple[Grant, ...]], bounds: Boundaries
) -> Document:
    stops: dict[str, Document] = {kind: {} for kind in OPEN_STOP_KINDS}
    for stop in contents.stops:
        if stop.kind != PERSON:
            stops[stop.kind][stop.target] = stop.document()
    return {
        "tenants": {each.id: each.document() for each in contents.tenants.values()},
        "grants": {
            tenant: {each.id: each.document() for each in listed}
            for tenant, listed in grants.items()
        },
        "regions": {admdvs: dict(region) for admdvs, region in bounds.regions.items()},
        "stops": stops,
    }


class Directory:
    """The current snapshot and the thread that keeps it current."""

    def __init__(self, engine: sa.Engine, bounds: Boundaries) -> None:
        self._engine = engine
        self._bounds = bounds
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._rounds = Rounds("directory", POLL_SECONDS, self.refresh)
        self._refreshing = threading.Lock()
        self._heard = time.monotonic()
        with reading(engine) as session:
            self.snapshot = take_snapshot(read_contents(session), bounds)
        self._told = self.snapshot.revision
        self._say_rejected()

    @property
    def bounds(self) -> Boundaries:
        """What grants are measured against, without what the bureau has set for its regions."""
        return self._bounds

    @property
    def revision(self) -> int:
        """Number of directory changes this snapshot contains."""
        return self.snapshot.revision

    def policy_data(self) -> Document:
        """Documents of SPEC §6.3 for the policy engine: tenants, grants, regions, stops."""
        return self.snapshot.policy_data

    def grants_for(self, tenant_id: str) -> tuple[Grant, ...]:
        """Grants of a tenant that narrow their scenario, in any state."""
        return self.snapshot.grants.get(tenant_id, ())

    def on_change(self, listener: Callable[[Snapshot], None]) -> None:
        """Call `listener` now, and after every reload (from the refreshing thread)."""
        self._listeners.append(listener)
        listener(self.snapshot)

    def refresh(self) -> bool:
        """Reload if the database holds a newer revision; True when it did."""
        with self._refreshing:
            with reading(self._engine) as session:
                newer = read_revision(session) != self._told
                contents = read_contents(session) if newer else None
            if contents is not None:
                self.snapshot = take_snapshot(contents, self._bounds)
                self._say_rejected()
                for listener in self._listeners:
                    listener(self.snapshot)
                # Only now: when a listener fails, the next round tells all of them again.
                self._told = self.snapshot.revision
            self._heard = time.monotonic()
            return contents is not None

    def rebind(self, bounds: Boundaries) -> None:
        """Measure grants against other boundaries from now on: another edition went live."""
        with self._refreshing:
            self._bounds = bounds
            self.snapshot = take_snapshot(self.snapshot.contents, bounds)
            self._say_rejected()
            for listener in self._listeners:
                listener(self.snapshot)

    def check_fresh(self) -> None:
        """Refuse to go on when the database has been silent too long."""
        if self._rounds.running and time.monotonic() - self._heard > STALE_AFTER:
            raise Unavailable(
                "directory_unavailable",
                "The directory cannot be read at the moment; try again in a few seconds.",
                "目录暂时不可用，请稍后重试。",
            )

    def start(self) -> None:
        """Begin to follow changes."""
        self._rounds.start()

    def stop(self) -> None:
        """End following changes; returns when the thread has ended."""
        self._rounds.stop()

    def _say_rejected(self) -> None:
        for grant_id, faults in self.snapshot.rejected.items():
            fields = ", ".join(sorted({fault.field for fault in faults}))
            _log.warning("grant %s is left out: it widens its scenario in %s", grant_id, fields)
