"""What of a counted question may be told beside all that its consumer was told before.

Two cohorts that differ by few persons would tell about those few. So whatever is told, whether the
result of a question, a step on the way or a year of entry, lies `delta` persons away from every
other cohort the consumer was told of; cohorts of the same criteria are the same cohort and tell
nothing anew. Two that are both below the smallest band are told alike and need no distance, unless
both are results: these the policy judges by their distance alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gateway.cohorts.bands import Rules
from gateway.cohorts.evaluate import Cohort, Counted
from gateway.cohorts.index import Array

FAR: Final = 10**12
"""The distance from earlier cohorts where there are none."""


@dataclass(frozen=True)
class Told:
    """Which steps and which years of a question's answer are told; its result always is."""

    steps: tuple[int, ...]
    years: tuple[int, ...]

    def cohorts(self, counted: Counted) -> Iterator[Cohort]:
        """The cohorts that the consumer knows bands of."""
        yield replace(counted.final, result=True)
        yield from (counted.steps[number] for number in self.steps)
        yield from (counted.years[number] for number in self.years)

    def within(self, other: Told) -> Told:
        """What both tell."""
        return Told(_both(self.steps, other.steps), _both(self.years, other.years))


def _both(one: Iterable[int], other: Collection[int]) -> tuple[int, ...]:
    return tuple(number for number in one if number in other)


def distance(one: Array, other: Array, enough: int) -> int:
    """Persons in one of two sorted sets and not in both; anything from `enough` on is enough."""
    apart = abs(len(one) - len(other))
    if apart >= enough:
        return apart
    few, many = sorted((one, other), key=len)
    if not len(many):
        return 0
    at = np.minimum(np.searchsorted(many, few), len(many) - 1)
    both = int(np.count_nonzero(many[at] == few)) if len(few) else 0
    return len(one) + len(other) - 2 * both


def nearest(counted: Counted, earlier: Iterable[Cohort], rules: Rules) -> int:
    """The fewest persons by which the result differs from a cohort of other criteria."""
    final = counted.final
    apart = (
        distance(final.members, one.members, rules.delta)
        for one in earlier
        if one.key != final.key and (one.result or not _both_small(final, one, rules))
    )
    return min(apart, default=FAR)


def tellable(counted: Counted, earlier: Sequence[Cohort], rules: Rules) -> Told:
    """What of an allowed answer is told: the result, then the index event, the other steps in
    order, and the years, each as far as it is far enough from all before it."""
    known = [*earlier, counted.final]

    def told(cohorts: Sequence[Cohort]) -> tuple[int, ...]:
        found = []
        for number, cohort in enumerate(cohorts):
            if all(_apart(cohort, one, rules) for one in known):
                known.append(cohort)
                found.append(number)
        return tuple(found)

    steps = told(counted.steps[:-1])
    return Told(steps, told(counted.years))


def _apart(cohort: Cohort, other: Cohort, rules: Rules) -> bool:
    if cohort.key == other.key or _both_small(cohort, other, rules):
        return True
    return distance(cohort.members, other.members, rules.delta) >= rules.delta


def _both_small(one: Cohort, other: Cohort, rules: Rules) -> bool:
    return max(len(one.members), len(other.members)) < rules.bands.least
