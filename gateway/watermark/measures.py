"""Which figures of a service carry a mark, and which are made of them and follow.

A mark is in sums of money alone: never in a count, never in the total of a place and period. A sum
is left as it is where a published figure is made of it that cannot be worked out again inside the
same cell (growth on last year, a forecast, a share of this very sum): the figure would give away
which of the two roundings is the unmarked one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.catalogue.kinds import Linear, Ratio, Sum
from gateway.catalogue.model import Measure, Service
from gateway.releases.manifest import Manifest

WORD: Final = "file"
"""What the policy's word for the watermark begins with where amounts are to be marked."""


@dataclass(frozen=True)
class Plan:
    """The marked measures with their numbers in the release; what is worked out anew from them."""

    marked: Mapping[str, int]
    follow: Mapping[str, Measure]
    parts: Mapping[str, tuple[str, ...]]

    def scaled(self, name: str) -> bool:
        """Whether a figure follows by the growth of its numerator: a share of another cell."""
        define = self.follow[name].define
        return isinstance(define, Ratio) and bool(define.over)

    def needed(self, asked: Sequence[str]) -> tuple[str, ...]:
        """What must be looked up to answer these: themselves, then the parts of what follows."""
        found = dict.fromkeys(asked)
        for name in asked:
            found.update(dict.fromkeys(self.parts.get(name, ())))
        return tuple(found)


class _Told:
    """What a plan is made of, by identity of the release: the same release has the same plan."""

    def __init__(self, service: Service, manifest: Manifest) -> None:
        self.service, self.manifest = service, manifest

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Told) and self._key == other._key

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.service.id, self.service.version, self.manifest.release_id


def plan_of(service: Service, manifest: Manifest) -> Plan:
    """Which measures of a release are marked."""
    return _plan(_Told(service, manifest))


@lru_cache(maxsize=256)
def _plan(told: _Told) -> Plan:
    return _made(told.service, told.manifest)


def _made(service: Service, manifest: Manifest) -> Plan:
    number = {shown.name: i for i, shown in enumerate(manifest.measures)}
    users: dict[str, list[Measure]] = {}
    for measure in service.measures:
        for part in measure.define.parts:
            if measure not in users.setdefault(part.measure, []):
                users[part.measure].append(measure)
    marked = {
        measure.name: number[measure.name]
        for measure in service.measures
        if measure.name in number
        and _is_amount(measure)
        and all(_follows(measure.name, user, users) for user in users.get(measure.name, ()))
    }
    published = {m.name: m for m in service.measures if m.name in number}
    follow = {
        user.name: user
        for name in marked
        for user in users.get(name, ())
        if user.name in number and {p.measure for p in user.define.parts} <= published.keys()
    }
    parts = {
        name: tuple(dict.fromkeys(p.measure for p in user.define.parts if not p.over))
        for name, user in follow.items()
    }
    return Plan(marked, follow, parts)


def _is_amount(measure: Measure) -> bool:
    """A sum of money of the cell itself."""
    define = measure.define
    money = measure.unit == "CNY" and isinstance(define, Sum) and define.style == "amount"
    return money and not measure.at


def _follows(name: str, user: Measure, users: Mapping[str, Sequence[Measure]]) -> bool:
    """Whether a figure can be worked out again beside its marked part, and nothing rests on it."""
    define = user.define
    if users.get(user.name) or user.at or define.late:
        return False
    if isinstance(define, Ratio):
        of_this_cell = not define.over or (name != define.den and not define.minus_one)
        return of_this_cell and not define.lag_years
    return isinstance(define, Linear)


def total_shapes(manifest: Manifest) -> list[int]:
    """The numbers of the shapes that name no dim: totals of a place and period, never marked."""
    return [i for i, columns in enumerate(manifest.shapes) if not columns]
