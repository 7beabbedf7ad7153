"""What the request path needs of its neighbours; the real parts are put in by `gateway.app`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

from gateway.identity.binding import Presented
from gateway.identity.caller import Caller
from gateway.journal.counters import Counters, Hold
from gateway.journal.entry import Entry
from gateway.journal.idempotency import InFlight, KeyName, Remembered
from gateway.journal.stamp import Stamp
from gateway.policy.port import Decision, PolicyInput
from gateway.releases.manifest import Manifest
from gateway.releases.own.table import OwnPage, OwnSelection
from gateway.releases.store import Page, Selection


class Identity(Protocol):
    """Proves who asks; raises `Unauthenticated`."""

    def verify(self, authorization: str | None, presented: Presented, now: datetime) -> Caller: ...


class Decider(Protocol):
    """The policy: one answer per question, a refusal for anything unexpected."""

    @property
    def version(self) -> str: ...

    async def decide_soon(self, question: PolicyInput) -> Decision: ...


class Releases(Protocol):
    """Protected cells, by release."""

    def in_force(self, service_id: str) -> bool: ...

    def latest(self, service_id: str) -> Manifest | None: ...

    def find(self, release_id: str) -> Manifest | None: ...

    def lineage(self, service_id: str) -> dict[str, Any] | None: ...  # an OpenLineage event

    def page(self, selection: Selection, offset: int, limit: int) -> Page: ...

    def own(self, selection: OwnSelection, offset: int, limit: int) -> OwnPage: ...


class Books(Protocol):
    """The journal: stamps a call, counts it, and makes it durable before its answer leaves."""

    @property
    def counters(self) -> Counters: ...

    @property
    def healthy(self) -> bool: ...

    @property
    def answering(self) -> InFlight: ...

    async def remembered(self, name: KeyName) -> Remembered | None: ...

    async def foresee(
        self, tenant: str, release: str, places: Collection[int], now: datetime
    ) -> None: ...

    def stamp(self, now: datetime) -> Stamp: ...

    async def record(self, entry: Entry, hold: Hold | None = None) -> None: ...
