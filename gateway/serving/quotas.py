"""Quotas over replicas: what the rules are told, and the proof of what they allow.

The rules decide by numbers: what this node used or reserved, and what all others hold. An allowance
counts only when the node holds what it rests on; the limits are those the rules themselves answered
with (`Decision.holds`). Where the store has no more to give, the rules are asked again with what it
said, and refuse. The rate per second is counted by each process for itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from gateway.journal.counters import Counters, Hold
from gateway.journal.spending import Payer, Spending
from gateway.policy.port import Decision, PolicyInput
from gateway.policy.port import Usage as AskedUsage
from gateway.quota.leases import Leases, Need, Standing
from gateway.quota.port import Key, QuotaUnproven
from gateway.quota.windows import day_window, month_window
from gateway.serving.asking import used
from metering.calendar import day_begins

GRANT, TENANT = "grant", "tenant"
TENANT_SPENT = "tenant_spent_month_fen"
GRANT_SPENT = "spent_month_fen"
DAILY: Final = ("calls_day", "cells_day", "distinct_queries_day")
MONTHLY: Final = ("cells_month", GRANT_SPENT, TENANT_SPENT)
CELLS: Final = ("cells_day", "cells_month")
COUNTED: Final = frozenset({*DAILY, "cells_month"})
"""Quotas of a grant that are shown to it."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_BUDGET = "D8"
"""The group of reasons that speak of counters."""

Decide: TypeAlias = Callable[[PolicyInput], Awaitable[Decision]]


class Quotas:
    """Counters of this process and leases of its node, together."""

    def __init__(
        self,
        counters: Counters,
        leases: Callable[[Callable[[Key], Standing | None]], Leases],
        clock: Callable[[], datetime],
    ) -> None:
        self._counters, self._clock, self._keys = counters, clock, Keys()
        self.leases = leases(self._stands)

    def seen(self, hold: Hold) -> AskedUsage:
        """What others have used or reserved, here and elsewhere, and what this call can cost."""
        own = used(hold)
        if not self.leases.shared:
            return own
        keys = self._keys.of(hold.cost.payer, hold.time)
        elsewhere = {name: self.leases.elsewhere(key) for name, key in keys.items()}
        more = {name: getattr(own, name) + number for name, number in elsewhere.items() if number}
        return own.model_copy(update=more) if more else own

    async def look(self, hold: Hold) -> bool:
        """Learn what others hold, at most twice a second; True if anything was learnt."""
        self._complete()
        return await self.leases.look(self._keys.of(hold.cost.payer, hold.time).values())

    async def prove(
        self, hold: Hold, asked: PolicyInput, decision: Decision, decide: Decide
    ) -> tuple[PolicyInput, Decision]:
        """The decision that holds over all replicas, and the question it answers."""
        if decision.allow:
            self._complete()
            if await self._covered(hold, decision):
                return asked, decision
        elif not (self._counters.complete and _is_budget(decision) and await self.look(hold)):
            return asked, decision
        asked = asked.model_copy(update={"usage": self.seen(hold)})
        decision = await decide(asked)
        if decision.allow and not await self._covered(hold, decision):
            raise QuotaUnproven("limits")
        return asked, decision

    async def proves(self, hold: Hold, decision: Decision) -> bool:
        """Whether an allowance made before is proven for this call too; where that cannot be shown,
        it is not, and `prove` says what becomes of the call."""
        try:
            self._complete()
            return await self._covered(hold, decision)
        except QuotaUnproven:
            return False

    async def _covered(self, hold: Hold, decision: Decision) -> bool:
        if decision.holds is None:
            if self.leases.shared:
                raise QuotaUnproven("no limits")
            return True
        keys = self._keys.of(hold.cost.payer, hold.time)
        return await self.leases.cover(list(_needs(hold, keys, decision.holds.usage)))

    def _complete(self) -> None:
        """While it is not known what this node has used, nothing is left of any quota: neither a
        yes nor a word to the store, which would take less for used than was."""
        if not self._counters.complete:
            raise QuotaUnproven("counters")

    def _stands(self, key: Key) -> Standing | None:
        if not self._counters.complete:
            return None
        return standing_of(self._counters, key, self._clock())


def standing_of(counters: Counters, key: Key, now: datetime) -> Standing | None:
    """How a counter stands on this node; None if its window is not the one that runs."""
    if key.counter in {GRANT_SPENT, TENANT_SPENT}:
        return _owed(counters.spending, key, now)
    standing = counters.standing(key.name, now)
    if key.window not in {standing.day, standing.month}:
        return None
    used, taken = (getattr(part, key.counter) for part in (standing.used, standing.taken))
    return Standing(used, taken)


def _owed(spending: Spending, key: Key, now: datetime) -> Standing | None:
    place = 0 if key.kind == TENANT else 1
    payer = next((one for one in spending.payers() if one[place] == key.name), None)
    if payer is None:
        return Standing(0, 0) if key.window == month_window(now) else None
    owed = spending.standing(payer, now)
    if owed.month != key.window:
        return None
    if key.kind == TENANT:
        return Standing(owed.used.tenant_fen, owed.taken.tenant_fen)
    return Standing(owed.used.grant_fen, owed.taken.grant_fen)


def window_of(counter: str, now: datetime) -> str:
    """The day or month in which it is counted at this moment."""
    return day_window(now) if counter in DAILY else month_window(now)


def keys_of(counters: Counters, now: datetime) -> Iterator[Key]:
    """Every counter that anything was counted on."""
    payers = counters.spending.payers()
    for payer in payers:
        yield _keys(payer, now)[TENANT_SPENT]
        yield _keys(payer, now)[GRANT_SPENT]
    for grant in counters.grants():
        own = _keys(Payer("", grant), now)
        yield from (own[name] for name in (*DAILY, "cells_month"))


class Keys:
    """The counters of a call by name; those of the running day are kept at hand."""

    def __init__(self) -> None:
        self._begins = self._ends = _NEVER
        self._at_hand: dict[Payer, dict[str, Key]] = {}

    def of(self, payer: Payer, now: datetime) -> dict[str, Key]:
        """What is counted of this grant, and of its organisation, at this moment."""
        if not self._begins <= now < self._ends:
            self._begins = day_begins(now).astimezone(UTC)
            self._ends = self._begins + timedelta(days=1)
            self._at_hand = {}
        keys = self._at_hand.get(payer)
        if keys is None:
            keys = self._at_hand[payer] = _keys(payer, now)
        return keys


def _keys(payer: Payer, now: datetime) -> dict[str, Key]:
    day, month = day_window(now), month_window(now)
    keys = {name: Key(GRANT, payer.grant, name, day) for name in DAILY}
    keys |= {name: Key(GRANT, payer.grant, name, month) for name in MONTHLY}
    return keys | {TENANT_SPENT: Key(TENANT, payer.tenant, TENANT_SPENT, month)}


def _needs(hold: Hold, keys: Mapping[str, Key], clear: Mapping[str, int]) -> Iterator[Need]:
    """What the allowance rests on: it holds for counters of at most `clear` before the call."""
    usage, cost = hold.usage, hold.cost
    counted = {
        "calls_day": (usage.calls_day, 1),
        "cells_day": (usage.cells_day, hold.cells),
        "cells_month": (usage.cells_month, hold.cells),
        "distinct_queries_day": (usage.distinct_queries_day, 1),
        GRANT_SPENT: (cost.spent.grant_fen, cost.estimate_fen),
        TENANT_SPENT: (cost.spent.tenant_fen, cost.estimate_fen),
    }
    for name, (before, own) in counted.items():
        if name in clear:
            yield Need(keys[name], before + own, own, clear[name] + own)


def _is_budget(decision: Decision) -> bool:
    return any(code.startswith(_BUDGET) for code in decision.deny)
