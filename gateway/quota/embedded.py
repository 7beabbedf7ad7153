"""The store of a gateway that is one process: nothing to reach, nothing to lose.

What was used before it started, its node says with the first word on each counter: it has that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from gateway.quota.arithmetic import settle
from gateway.quota.port import Ask, Begun, Holdings, Key, Lease, QuotaForgotten, Told

_OVER = timedelta(days=2)


@dataclass
class _Counter:
    total: int = 0
    leases: dict[str, Lease] = field(default_factory=dict)


class EmbeddedStore:
    """Counters in memory. With `shared` it stands for a store that several nodes lease from."""

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.operations = 0
        self._epoch: str | None = "embedded"
        self._begun = 0
        self._counters: dict[Key, _Counter] = {}

    async def begin(self, holder: str) -> Begun:
        self.operations += 1
        epoch = self._known(self._epoch)
        found = self._counters.items()
        held = {key: one.leases[holder] for key, one in found if holder in one.leases}
        return Begun(epoch, held)

    async def lease(self, epoch: str, holder: str, asks: Sequence[Ask]) -> tuple[Told, ...]:
        self.operations += 1
        self._known(epoch)
        return tuple(self._lease(holder, ask) for ask in asks)

    async def shut(self) -> None:
        self._epoch = None

    async def open(self, used: Holdings) -> str:
        self._begun += 1
        self._counters = {}
        for (key, holder), amount in used.items():
            counter = self._counters.setdefault(key, _Counter())
            counter.leases[holder] = Lease(amount, 0)
            counter.total += amount
        self._epoch = f"embedded-{self._begun}"
        return self._epoch

    async def close(self) -> None:
        """Nothing is held open."""

    def _known(self, epoch: str | None) -> str:
        if epoch is None or epoch != self._epoch:
            raise QuotaForgotten("epoch")
        return epoch

    def _lease(self, holder: str, ask: Ask) -> Told:
        counter = self._counters.get(ask.key)
        if counter is None:
            self._forget(ask.key)
            counter = self._counters[ask.key] = _Counter()
        mine = counter.leases.get(holder, Lease(0, 0))
        if ask.seq <= mine.seq:
            return Told(mine.held, counter.total)
        told = settle(counter.total, mine.held, ask)
        counter.leases[holder] = Lease(told.held, ask.seq)
        counter.total = told.total
        return told

    def _forget(self, key: Key) -> None:
        """Drop the windows of this counter that were over long before this one begins: nodes whose
        clocks are behind still ask for the one before."""
        long_ago = key.begins - _OVER
        same = [old for old in self._counters if old[:3] == key[:3] and old.ends <= long_ago]
        for old in same:
            del self._counters[old]
