"""Shapley values by their definition, slow and plain, to compare the product's strategies with.

What each provider adds, averaged over every order in which they could join. For a cell that is
there as soon as one of its holders takes part, the value is known in closed form: it is split
equally among its holders. For a cell that exists only when enough providers come together it is
estimated from orders that a seed gives, the same for whoever computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import combinations
from math import factorial
from typing import TypeAlias

from gateway.billing.joint import PERMUTATIONS, rank

Worth: TypeAlias = Callable[[frozenset[str]], int]
"""What a coalition of providers is worth, in whole points; the empty one is worth nothing."""


def coverage(records: Iterable[Collection[str]]) -> dict[str, Fraction]:
    """Exact values where each record is worth one point to whoever holds it."""
    values: dict[str, Fraction] = {}
    for holders in map(frozenset, records):
        for name in holders:
            values[name] = values.get(name, Fraction(0)) + Fraction(1, len(holders))
    return values


@dataclass(frozen=True)
class Threshold:
    """The game of a published cell: worth one point to a coalition that could publish it alone.

    `persons` by provider; `least` persons and `houses` providers are asked for. All together can
    publish it, whatever the figures say: it was published.
    """

    persons: Mapping[str, int]
    least: int
    houses: int

    def __call__(self, coalition: frozenset[str]) -> int:
        holders = coalition & self.persons.keys()
        if len(holders) == len(self.persons):
            return int(bool(holders))
        enough = sum(self.persons[name] for name in holders) >= self.least
        return int(enough and len(holders) >= self.houses and bool(holders))


def enumerated(names: Collection[str], worth: Worth) -> dict[str, Fraction]:
    """Exact values by looking at all 2ⁿ coalitions; for few names."""
    everybody = sorted(set(names))
    total = factorial(len(everybody))
    values = dict.fromkeys(everybody, Fraction(0))
    for name in everybody:
        others = [one for one in everybody if one != name]
        for size in range(len(everybody)):
            orders = factorial(size) * factorial(len(everybody) - size - 1)
            for chosen in map(frozenset, combinations(others, size)):
                gained = worth(chosen | {name}) - worth(chosen)
                values[name] += Fraction(orders * gained, total)
    return values


def sampled(
    names: Collection[str], worth: Worth, *, seed: str, permutations: int = PERMUTATIONS
) -> dict[str, Fraction]:
    """Values over `permutations` orders given by `seed`; they add up to the worth of all."""
    gained = dict.fromkeys(sorted(set(names)), 0)
    for number in range(permutations):
        joined, before = frozenset[str](), 0
        for name in sorted(gained, key=partial(rank, seed, number)):
            joined |= {name}
            now = worth(joined)
            gained[name] += now - before
            before = now
    return {name: Fraction(total, permutations) for name, total in gained.items()}
