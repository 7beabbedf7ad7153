"""What replicas share of a quota: how much of it each of them holds.

A node never asks per call. It leases a slab of a counter, serves from it, and says in every later
word how much it still *has*; whatever it does not name is free for others. So a word that was lost
on the way heals with the next one, and what a dead node held stays used up until somebody who has
read its journal says less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from gateway.errors import Unavailable
from gateway.quota.windows import begins, ends


class Key(NamedTuple):
    """One counter of one grant or organisation in one window, e.g. ("grant", "G-1", "calls_day",
    "2026-11-22")."""

    kind: str
    name: str
    counter: str
    window: str

    def __str__(self) -> str:
        return "/".join(self)

    @classmethod
    def of(cls, text: str) -> Key:
        """The key of such a text."""
        return cls(*text.split("/"))

    @property
    def begins(self) -> datetime:
        """When its window begins."""
        return begins(self.window)

    @property
    def ends(self) -> datetime:
        """When its window is over."""
        return ends(self.window)


@dataclass(frozen=True, slots=True)
class Ask:
    """A node's word on one counter: it has `have`, needs `want` more (no use below `least`), and
    could use `extra` beside. `seq` rises with every word of a node on a counter: a word overtaken
    on the way changes nothing."""

    key: Key
    have: int
    want: int
    least: int
    extra: int
    limit: int
    seq: int


class Told(NamedTuple):
    """The store's answer: what the node holds now, and what all nodes hold together."""

    held: int
    total: int


class Lease(NamedTuple):
    """What a holder had when it last spoke, and the number of that word."""

    held: int
    seq: int


@dataclass(frozen=True)
class Begun:
    """The count a node joins, and what is on record as held by it."""

    epoch: str
    held: Mapping[Key, Lease]


Holdings: TypeAlias = Mapping[tuple[Key, str], int]
"""What each holder is known to have used, by counter."""


class QuotaStore(Protocol):
    """Where replicas meet. Every method raises `QuotaUnproven` where it cannot be asked."""

    @property
    def shared(self) -> bool:
        """Whether other processes lease from it too; then a lease is good for a time only."""

    async def begin(self, holder: str) -> Begun:
        """Join the count that is open."""

    async def lease(self, epoch: str, holder: str, asks: Sequence[Ask]) -> tuple[Told, ...]:
        """Settle what the holder has of each counter, and give it more where there is more, all in
        one step. Raises `QuotaForgotten` where the count of that name is no more."""

    async def close(self) -> None:
        """Let go of connections."""


class Rebuildable(QuotaStore, Protocol):
    """A store with a memory of its own, which may be lost."""

    async def shut(self) -> None:
        """End the count: nobody is given anything until the next one is opened."""

    async def open(self, used: Holdings) -> str:
        """Begin a new count in which each holder has what its journal says it used."""


CHECKER = "sluice-check"
"""Who asks only whether the count is open; it never leases."""


class QuotaUnproven(Unavailable):
    """It cannot be shown that the call is within its quota: refuse it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "quota_unproven",
            "The quota's count cannot be reached, so nothing more can be given; try again shortly.",
            "配额计数暂不可用，无法确认剩余配额，请稍后重试。",
        )
        self.reason = reason


class QuotaForgotten(QuotaUnproven):
    """The store does not know the count the node has joined: it lost its memory, or began anew."""
