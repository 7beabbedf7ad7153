"""Replicas that share a quota, in one process and on a clock of their own: nodes with real counters
and leases, journals that outlive them, and a store whose words can be delayed or lost.

The rules are asked as the gateway asks them: allowed while used + asked is within the limit, with
the bounds of that answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.journal.counters import Counters, Hold, Total
from gateway.policy.port import (
    AskedPeriod,
    AskingTenant,
    AskingUser,
    Decision,
    Holds,
    PolicyInput,
    Usage,
)
from gateway.quota.leases import Leases
from gateway.quota.port import Ask, Begun, QuotaStore, QuotaUnproven, Told
from gateway.serving.quotas import Quotas
from metering.calendar import day_of, month_of

EVENING = datetime(2026, 11, 30, 15, 50, tzinfo=UTC)  # ten minutes before a day and month end
GRANT = "g-shared"


@dataclass
class Clock:
    """Time that moves when told to; `tick` is its monotonic face."""

    now: datetime = EVENING

    def __call__(self) -> datetime:
        return self.now

    def tick(self) -> float:
        return (self.now - EVENING).total_seconds()

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Line:
    """One node's way to the store: words take a while, and get lost on the way there or back."""

    store: QuotaStore
    choose: random.Random
    lost: float = 0.0
    cut: bool = False
    shared: bool = True

    async def begin(self, holder: str) -> Begun:
        await self._way("there")
        begun = await self.store.begin(holder)
        await self._way("back")
        return begun

    async def lease(self, epoch: str, holder: str, asks: Sequence[Ask]) -> tuple[Told, ...]:
        await self._way("there")
        told = await self.store.lease(epoch, holder, asks)
        await self._way("back")
        return told

    async def close(self) -> None:
        """The store stays for the others."""

    async def _way(self, _direction: str) -> None:
        for _ in range(self.choose.randrange(3)):
            await asyncio.sleep(0)
        if self.cut or self.choose.random() < self.lost:
            raise QuotaUnproven("line")


@dataclass(frozen=True)
class Served:
    """What a journal shows of one answered call."""

    time: datetime
    query: str
    cells: int


@dataclass(eq=False)
class Flying:
    """A call that is covered and not yet on record."""

    node: Node
    hold: Hold
    query: str
    cells: int


@dataclass
class Node:
    """One serving process of a journal; a restart makes another one."""

    name: str
    clock: Clock
    line: Line
    journal: list[Served] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counters = Counters()
        self._restore()
        self.quotas = Quotas(
            self.counters,
            lambda stands: Leases(self.line, self.name, stands, tick=self.clock.tick),
            self.clock,
        )

    def _restore(self) -> None:
        now = self.clock.now
        month = [one for one in self.journal if month_of(one.time) == month_of(now)]
        today = [one for one in month if day_of(one.time) == day_of(now)]
        sums = (sum(one.cells for one in month), len(today), sum(one.cells for one in today))
        queries = [(GRANT, one.query) for one in today]
        self.counters.restore([Total(GRANT, *sums)] if month else [], queries, [], now)

    async def call(self, query: str, cells: int, limits: Mapping[str, int]) -> Flying | None:
        """One call as far as its decision; None where it is refused."""
        hold = self.counters.reserve(GRANT, query, cells, self.clock.now, tenant="t-shared")

        async def decide(question: PolicyInput) -> Decision:
            return rules(question, limits)

        try:
            asked = question(self.quotas, hold)
            _, decision = await self.quotas.prove(hold, asked, await decide(asked), decide)
        except QuotaUnproven:
            hold.release()
            raise
        if not decision.allow:
            hold.release()
            return None
        return Flying(self, hold, query, cells)

    def record(self, call: Flying, delivered: int) -> None:
        """The answer is on record, and leaves."""
        call.hold.settle(delivered)
        self.journal.append(Served(call.hold.time, call.query, delivered))


ASKED = PolicyInput(
    request_id="r",
    time=EVENING,
    tenant=AskingTenant(id="t-shared", ip="127.0.0.1"),
    user=AskingUser(id="u"),
    grant_id=GRANT,
    service="S02",
    version="1.0",
    period=AskedPeriod(start="2024Q1", to="2024Q1", grain="quarter"),
    geo=("990100",),
    purpose_code="p",
    env="prod",
    usage=Usage(),
)


def question(quotas: Quotas, hold: Hold) -> PolicyInput:
    told = {"time": hold.time, "qty_estimate": hold.cells, "usage": quotas.seen(hold)}
    return ASKED.model_copy(update=told)


def rules(asked: PolicyInput, limits: Mapping[str, int]) -> Decision:
    """used + asked within every limit, as `policies/budget` has it."""
    own = {"cells_day": asked.qty_estimate, "cells_month": asked.qty_estimate}
    clear = {name: limit - own.get(name, 1) for name, limit in limits.items()}
    over = [name for name, most in clear.items() if getattr(asked.usage, name) > most]
    deny = tuple(sorted({"D803" if name.startswith("cells") else "D802" for name in over}))
    return Decision(not deny, deny, None, "v", "d", None if deny else Holds(0, 2**63, clear))


def used_of(calls: Iterable[Served], now: datetime) -> dict[str, int]:
    """The counters of a set of answers, counted one by one."""
    month = [one for one in calls if month_of(one.time) == month_of(now)]
    today = [one for one in month if day_of(one.time) == day_of(now)]
    return {
        "calls_day": len(today),
        "cells_day": sum(one.cells for one in today),
        "cells_month": sum(one.cells for one in month),
        "distinct_queries_day": len({one.query for one in today}),
    }
