"""How many requests are worked on at once, by class and by organisation, and who has to wait.

A class of work has so many places. One organisation gets at most its share of them, and some are
kept for each: whoever uses fewer than `kept` is let in though all places are taken. So the flood of
one is turned away (503 with Retry-After) and raises nobody else's refusals, and a class never works
on more than its places and the kept ones of those who came late.

The edge opens an `Entrance` for a request; whoever finds out who asks says so by `admit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Unavailable
from gateway.metrics import meters

RETRY_SECONDS: Final = 1


@dataclass(frozen=True)
class Room:
    """The places of one class of work: all, at most for one organisation, kept for each."""

    places: int
    share: int
    kept: int

    def __post_init__(self) -> None:
        if not 0 < self.kept <= self.share <= self.places:
            raise ValueError("a room keeps no more than a share, and shares no more than it has")


ROOMS: Final = {
    "query": Room(places=512, share=256, kept=32),
    "text": Room(places=24, share=12, kept=2),
    "bulk": Room(places=64, share=24, kept=4),
    "office": Room(places=128, share=32, kept=8),
    "stranger": Room(places=256, share=64, kept=4),
}
"""Look-ups; texts, which cost the most; archives and exports; what works in threads; those who
are not known yet, by address."""


class Busy(Unavailable):
    """All places that this organisation may have are taken."""

    def __init__(self) -> None:
        super().__init__("too_busy", "", retry_after=RETRY_SECONDS)


@dataclass
class Places:
    """Who is being worked for, in one class."""

    kind: str
    room: Room
    taken: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def take(self, who: str) -> None:
        """Take a place; raises `Busy`."""
        own = self.taken[who]
        if own >= self.room.share or (self.total >= self.room.places and own >= self.room.kept):
            if not own:
                del self.taken[who]
            meters.shed(self.kind)
            raise Busy
        self.taken[who] = own + 1
        self.total += 1

    def leave(self, who: str) -> None:
        """Give the place back."""
        self.total -= 1
        self.taken[who] -= 1
        if not self.taken[who]:
            del self.taken[who]  # names of the past are not kept


class Entrance:
    """One request's way in: no place, or one of whoever it turned out to be from."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._who: str | None = None

    def admit(self, who: str) -> None:
        """Take this one's place, once; raises `Busy`."""
        if self._who is None:
            self._places.take(who)
            self._who = who

    def close(self) -> None:
        """The request is over."""
        if self._who is not None:
            self._places.leave(self._who)
            self._who = None


_here: ContextVar[Entrance | None] = ContextVar("entrance", default=None)


@contextmanager
def entering(places: Places) -> Iterator[Entrance]:
    """A request of this class; its place is given back however it ends."""
    entrance = Entrance(places)
    token = _here.set(entrance)
    try:
        yield entrance
    finally:
        _here.reset(token)
        entrance.close()


def admit(who: str) -> None:
    """Who asks is known now: take a place of theirs; raises `Busy`. Nothing where no edge is."""
    entrance = _here.get()
    if entrance is not None:
        entrance.admit(who)
