"""Shapley values: what each provider adds, averaged over every order in which they could join.

For answers made of records, where a record is there as soon as one of its holders takes part, the
value is known in closed form: every record is split equally among its holders. For anything else
(the value of a joint model) it is estimated from permutations drawn by a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from typing import TypeAlias

Worth: TypeAlias = Callable[[frozenset[str]], int]
"""What a coalition of providers is worth, in whole points; the empty one is worth nothing."""

PERMUTATIONS = 200


def coverage(records: Iterable[Collection[str]]) -> dict[str, Fraction]:
    """Exact values where each record is worth one point to whoever holds it."""
    values: dict[str, Fraction] = {}
    for holders in records:
        for name in set(holders):
            values[name] = values.get(name, Fraction(0)) + Fraction(1, len(set(holders)))
    return values


def sampled(
    names: Collection[str], worth: Worth, *, seed: int, permutations: int = PERMUTATIONS
) -> dict[str, Fraction]:
    """Values over `permutations` orders drawn by `seed`; they add up to the worth of all.

    The same seed and names give the same values, in whatever order the names come.
    """
    draw, order = random.Random(seed), sorted(set(names))  # noqa: S311 - an estimate, no secret
    gained = dict.fromkeys(order, 0)
    for _ in range(permutations):
        draw.shuffle(order)
        joined, before = frozenset[str](), 0
        for name in order:
            joined |= {name}
            now = worth(joined)
            gained[name] += now - before
            before = now
    return {name: Fraction(total, permutations) for name, total in gained.items()}
