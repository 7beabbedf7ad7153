"""Which cells a tenant was charged for: each cell of a release once in thirty days.

The truth is the table `charged_cell`, written in the transaction of the answer that is charged, so
no crash can part the two. Here is only what that table does not show yet, the claims of answers on
their way, and a bounded number of its rows kept at hand.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import NamedTuple, TypeAlias

from metering.overlap import REPEAT_WINDOW

_AT_HAND = 20_000

Cells: TypeAlias = Mapping[int, int]
"""Cells of one release by place: a set of bits for each place. What a place and a bit stand for is
the caller's affair, as long as the same cell always has the same."""
_Key: TypeAlias = tuple[str, str, int]


class Charged(NamedTuple):
    """Cells of one place that an event was charged for."""

    time: datetime
    event_id: str
    cells: int


Read: TypeAlias = Callable[[str, str, Collection[int], datetime], Iterable[tuple[int, Charged]]]
"""What is on record for a tenant and release at some places, after a moment."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What of an answer is to be charged. `repeat_of`: the event that was charged for it, if
    there were cells and all of them are free. `rests_on`: (place, event) of the claims not yet on
    record by which cells are free; should one of these answers fail, this one must fail too."""

    tenant: str
    release: str
    time: datetime
    event_id: str
    cells: Cells
    repeat_of: str | None
    rests_on: tuple[tuple[int, str], ...] = ()

    @property
    def count(self) -> int:
        """How many cells are charged."""
        return count(self.cells)


def count(cells: Cells) -> int:
    """How many cells these are."""
    return sum(bits.bit_count() for bits in cells.values())


def nothing_recorded(
    tenant: str, release: str, places: Collection[int], after: datetime
) -> tuple[tuple[int, Charged], ...]:
    """The record of a new journal."""
    return ()


class Charges:
    """Decides what of an answer is charged. Safe from any thread; costs as much as the answer has
    places, whatever was charged before."""

    def __init__(self, read: Read = nothing_recorded, at_hand: int = _AT_HAND) -> None:
        self._read, self._most = read, at_hand
        self._lock = Lock()
        self._recorded: OrderedDict[_Key, list[Charged]] = OrderedDict()
        self._claimed: dict[_Key, list[Charged]] = {}
        self._learnt: set[_Key] = set()

    def unlearnt(
        self, tenant: str, release: str, places: Collection[int], after: datetime
    ) -> list[int]:
        """The places of which nobody told yet what other nodes charged. They are kept at hand from
        here on, so that what is charged here meanwhile is not missed by `learn`."""
        with self._lock:
            missing = [one for one in places if (tenant, release, one) not in self._learnt]
            if missing:
                self._known(tenant, release, missing, after)
        return missing

    def learn(
        self, tenant: str, release: str, places: Iterable[int], told: Iterable[tuple[int, Charged]]
    ) -> None:
        """What any node charged at some places, where they are still at hand."""
        with self._lock:
            for place, charged in told:
                kept = self._recorded.get((tenant, release, place))
                if kept is not None and charged not in kept:
                    kept.append(charged)
            keys = ((tenant, release, place) for place in places)
            self._learnt.update(key for key in keys if key in self._recorded)

    def claim(self, tenant: str, release: str, cells: Cells, event_id: str, now: datetime) -> Claim:
        """Claim what nobody was charged for, until `end`: the same cells in an answer that comes
        meanwhile are free."""
        with self._lock:
            before = self._known(tenant, release, cells.keys(), now - REPEAT_WINDOW)
            new, earlier = {}, []
            for place, asked in cells.items():
                free = [one for one in before[place] if one.cells & asked]
                earlier += free
                left = asked
                for one in free:
                    left &= ~one.cells
                if left:
                    new[place] = left
            rests_on = tuple(
                (place, one.event_id)
                for place, asked in cells.items()
                for one in self._claimed.get((tenant, release, place), ())
                if one.cells & asked
            )
            for place, bits in new.items():
                charged = Charged(now, event_id, bits)
                self._claimed.setdefault((tenant, release, place), []).append(charged)
        repeat_of = min(earlier).event_id if earlier and not new else None
        return Claim(tenant, release, now, event_id, new, repeat_of, rests_on)

    def end(self, claim: Claim, *, stored: bool) -> None:
        """The answer is on record, or never will be: then its cells are not charged after all."""
        with self._lock:
            for place, bits in claim.cells.items():
                key = (claim.tenant, claim.release, place)
                charged = Charged(claim.time, claim.event_id, bits)
                waiting = self._claimed[key]
                waiting.remove(charged)
                if not waiting:
                    del self._claimed[key]
                # Read between the commit and now, it is there already.
                if stored and charged not in self._recorded.get(key, (charged,)):
                    self._recorded[key].append(charged)

    def _known(
        self, tenant: str, release: str, places: Collection[int], after: datetime
    ) -> dict[int, list[Charged]]:
        """What is on record or claimed at some places since a moment."""
        missing = [place for place in places if (tenant, release, place) not in self._recorded]
        if missing:
            read: dict[int, list[Charged]] = {place: [] for place in missing}
            for place, charged in self._read(tenant, release, missing, after):
                read[place].append(charged)
            for place, found in read.items():
                self._recorded[tenant, release, place] = found
        known = {}
        for place in places:
            key = (tenant, release, place)
            self._recorded.move_to_end(key)
            kept = self._recorded[key] = [one for one in self._recorded[key] if one.time > after]
            claimed = (one for one in self._claimed.get(key, ()) if one.time > after)
            known[place] = [*kept, *claimed]
        while len(self._recorded) > self._most:
            forgotten, _ = self._recorded.popitem(last=False)
            self._learnt.discard(forgotten)
        return known
