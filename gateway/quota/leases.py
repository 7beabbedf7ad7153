"""A node's slabs: what it holds of each counter, and how it gets more and gives back.

A call is *covered* by what it comes up to on a counter: everything used or reserved before it on
this node, and itself. As long as that is within the slab nobody is asked. Calls that need more wait
for one word to the store together. Slabs grow with demand, shrink towards the limit, and go back
when nobody used them for a while; without a word from the store they are good for `TTL` only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

from gateway.quota.port import Ask, Key, QuotaForgotten, QuotaStore, QuotaUnproven

TTL = 30.0
"""Seconds for which a slab may be used after the store was last heard."""
GRACE = 15.0
"""Seconds in which a call that was covered at the last moment is on record, or never will be."""
PAUSE = 0.5
"""Seconds between two words that were answered "no more", and after one that was not answered."""
_RENEW, _ALONG = TTL * 2 / 3, TTL / 4
"""Age at which a slab in use is confirmed in good time, and from which it is when a word is said
for another counter of the same call: so one word does for all."""
# A slab used up sooner than this was small, one that lasted was large. Both are long, so that few
# words are said also where calls are slow.
_QUICK, _SLOW = 8.0, 20.0
_FIRST = 8  # calls that the first slab is for
_LARGEST = 10**9
_ROUNDS = 16
_LATE = timedelta(hours=1)  # by then every call of a window is over


class Standing(NamedTuple):
    """What this node has used of a counter, and that with all that calls in flight reserve."""

    used: int
    taken: int


Stands: TypeAlias = Callable[[Key], Standing | None]
"""How a counter stands on this node; None where its window is not the one that runs."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Need:
    """A call comes up to `upto` of the counter; `ask` of that is its own."""

    key: Key
    upto: int
    ask: int
    limit: int


@dataclass(frozen=True, slots=True)
class _Return:
    """Nobody needs what is not used."""

    key: Key


@dataclass(slots=True)
class _Account:
    """One counter as this node sees it."""

    slab: int = 0
    total: int = 0
    limit: int = 0
    extra: int = 0
    told_at: float = float("-inf")
    given_at: float = float("-inf")
    used_at: float = float("-inf")

    @property
    def elsewhere(self) -> int:
        """What other nodes hold, as last told."""
        return self.total - self.slab

    def holds(self, need: Need) -> bool:
        """Whether the slab covers it. Where a limit was lowered, the store is asked first."""
        told = self.limit <= need.limit and self.elsewhere + need.upto <= need.limit
        return told and need.upto <= self.slab

    def lacks(self, need: Need) -> bool:
        """Whether the store, when last heard, could not have covered it."""
        return self.limit == need.limit and self.elsewhere + need.upto > need.limit


Outcome: TypeAlias = Literal["granted", "short", "returned", "expired", "failed"]
_Waiting: TypeAlias = dict[Key, list[Need | _Return]]


class Leases:
    """All slabs of one node. To be used within one event loop."""

    def __init__(
        self,
        store: QuotaStore,
        holder: str,
        stands: Stands,
        *,
        tick: Callable[[], float] = time.monotonic,
        report: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._store, self._holder, self._stands = store, holder, stands
        self._tick, self._report = tick, report
        self._accounts: dict[Key, _Account] = {}
        self._waiting: _Waiting = {}
        self._next: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._epoch = ""
        self._seq = 0
        self._silent_until = float("-inf")
        self._down = False

    @property
    def shared(self) -> bool:
        """Whether other nodes count too."""
        return self._store.shared

    def elsewhere(self, key: Key) -> int:
        """What other nodes hold of a counter, as far as this one knows."""
        account = self._accounts.get(key)
        return 0 if account is None else account.elsewhere

    async def cover(self, needs: Sequence[Need]) -> bool:
        """Get what a call needs; False where the limits do not leave it."""
        for _ in range(_ROUNDS):
            short = [need for need in needs if not self._covers(need)]
            if not short:
                self._renew(needs)
                return True
            if any(self._refused(need) for need in short):
                return False
            await self._ask([need for need in needs if need in short or self._is_old(need, _ALONG)])
            if any(self._accounts[need.key].lacks(need) for need in short):
                return False
        raise QuotaUnproven("contended")

    async def look(self, keys: Iterable[Key]) -> bool:
        """Learn what others hold, if that was not done a moment ago; True if anything was."""
        if not self.shared:
            return False
        old = [key for key in keys if not self._is_fresh(self._accounts.get(key))]
        if old:
            known = (self._accounts.get(key, _Account()).limit for key in old)
            await self._ask([Need(key, 0, 0, limit) for key, limit in zip(old, known, strict=True)])
        return bool(old)

    async def begin(self) -> None:
        """Join the count, and give back what this node held before and has not used.

        Where the store is not there yet, the first call that needs something does it.
        """
        with suppress(QuotaUnproven):
            await self._ask([])

    async def tend(self, now: datetime) -> None:
        """Once in a while: give back what nobody uses, forget windows that are over."""
        for key in [key for key in self._accounts if key.ends + _LATE <= now]:
            del self._accounts[key]
        tick = self._tick()
        idle = [key for key, one in self._accounts.items() if tick - one.used_at > _patience(one)]
        await self._give_back(idle)

    async def drain(self) -> None:
        """No call is left: keep what was used, give everything else back."""
        await self._give_back(list(self._accounts))
        await self._store.close()

    async def _give_back(self, keys: Sequence[Key]) -> None:
        unused = [key for key in keys if self._unused(key)]
        if unused and self.shared:
            with suppress(QuotaUnproven):
                await self._ask([_Return(key) for key in unused])
                self._report("returned")

    def _unused(self, key: Key) -> bool:
        standing = self._stands(key)
        return standing is not None and self._accounts[key].slab > standing.taken

    def _covers(self, need: Need) -> bool:
        account = self._accounts.get(need.key)
        if account is None or not account.holds(need):
            return False
        if not self.shared:
            return True
        account.used_at = now = self._tick()
        age = now - account.told_at
        if age > TTL:
            self._report("expired")
            return False
        return True

    def _renew(self, needs: Sequence[Need]) -> None:
        """Confirm in good time what the call rests on; nobody waits for it."""
        due = self.shared and any(self._is_old(need, _RENEW) for need in needs)
        if due and self._tick() >= self._silent_until:
            self._send([need for need in needs if self._is_old(need, _ALONG)])

    def _is_old(self, need: Need, age: float) -> bool:
        account = self._accounts.get(need.key)
        return account is not None and self._tick() - account.told_at > age

    def _refused(self, need: Need) -> bool:
        """Whether the store said a moment ago that there is no more."""
        account = self._accounts.get(need.key)
        return account is not None and self._is_fresh(account) and account.lacks(need)

    def _is_fresh(self, account: _Account | None) -> bool:
        return self.shared and account is not None and self._tick() - account.told_at < PAUSE

    async def _ask(self, needs: Sequence[Need | _Return]) -> None:
        """One word to the store for all who need one now; who comes meanwhile joins the next."""
        if self._tick() < self._silent_until:
            raise QuotaUnproven("silent")
        await asyncio.shield(self._send(needs))

    def _send(self, needs: Sequence[Need | _Return]) -> asyncio.Task[None]:
        for need in needs:
            self._waiting.setdefault(need.key, []).append(need)
        if self._next is None:
            self._next = asyncio.create_task(self._speak())
            self._next.add_done_callback(_heard)
        return self._next

    async def _speak(self) -> None:
        async with self._turn:
            waiting, self._waiting, self._next = self._waiting, {}, None
            try:
                if not self._epoch:
                    await self._join()
                await self._lease(waiting)
            except QuotaUnproven as error:
                self._failed(error)
                raise
            if self._down:
                self._down = False
                log.warning("the quota's count is there again")

    async def _join(self) -> None:
        """Join the count that is open; what was held under another one is void."""
        begun = await self._store.begin(self._holder)
        for account in self._accounts.values():
            account.slab = account.total = 0
        self._seq = max([self._seq, *(lease.seq for lease in begun.held.values())])
        self._epoch = begun.epoch
        over: _Waiting = {}
        for key, lease in begun.held.items():
            standing = self._stands(key)
            if standing is not None and standing.used < lease.held:
                over[key] = [_Return(key)]
        await self._lease(over)

    async def _lease(self, waiting: _Waiting) -> None:
        if not waiting:
            return
        asks = [self._word(key, needs) for key, needs in waiting.items()]
        told = await self._store.lease(self._epoch, self._holder, asks)
        now = self._tick()
        for ask, answer in zip(asks, told, strict=True):
            account = self._accounts.setdefault(ask.key, _Account())
            account.slab, account.total = answer
            account.limit, account.told_at = ask.limit, now
            if ask.want:
                account.given_at = now
                self._report("granted" if answer.held >= ask.have + ask.least else "short")

    def _word(self, key: Key, needs: Sequence[Need | _Return]) -> Ask:
        """What to say of one counter. From here on the node holds no more than it says; what calls
        have reserved and no slab covers yet is not said to be held."""
        account = self._accounts.setdefault(key, _Account())
        calls = [need for need in needs if isinstance(need, Need)]
        standing = self._stands(key)
        if standing is not None and not calls:
            account.slab = min(account.slab, standing.taken)
        have = max(account.slab, standing.used if standing else 0)
        wants = [need.upto - have for need in calls if need.upto > have]
        if wants:
            self._adapt(account, max(need.ask for need in calls))
        self._seq = max(self._seq + 1, time.time_ns() // 1000)
        return Ask(
            key,
            have,
            want=max(wants, default=0),
            least=min(wants, default=0),
            extra=account.extra if wants else 0,
            limit=min((need.limit for need in calls), default=account.limit),
            seq=self._seq,
        )

    def _adapt(self, account: _Account, ask: int) -> None:
        """Twice as much next time where it was used up at once; half where it lasted."""
        lasted = self._tick() - account.given_at
        if account.extra < _FIRST * ask:
            account.extra = _FIRST * ask
        elif ask and lasted < _QUICK:
            account.extra = min(_LARGEST, 2 * account.extra)
        elif ask and lasted > _SLOW:
            account.extra //= 2

    def _failed(self, error: QuotaUnproven) -> None:
        self._report("failed")
        if isinstance(error, QuotaForgotten):
            self._epoch = ""
        if not self._down:
            self._down = True
            log.error("the quota's count cannot be asked: %s", error.reason)
        self._silent_until = self._tick() + PAUSE


def _patience(account: _Account) -> float:
    """How long an unused slab is kept: not long where others may be short of it."""
    near = account.total * 10 > account.limit * 9
    return 4 * PAUSE if near else TTL


def _heard(task: asyncio.Task[None]) -> None:
    """Those who waited have the error, if there was one; nobody need have waited."""
    if not task.cancelled():
        task.exception()
