"""What is left when a cell is subtracted from any cell above it, however many steps above.

Group by group nothing small can be subtracted, but grandparent minus grandchild skips the hidden
cell between them. Pairs are found by climbing: persons only grow on the way up, so a climb stops
as soon as the difference is large, and few pairs remain even among millions of cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints, distinct, ragged
from gateway.releases.sdc.problem import Problem


@dataclass(frozen=True)
class Pairs:
    """A lower and an upper cell, and bounds on the persons in the upper but outside the lower:
    at least `least` (the largest cell passed by), at most `most` (all cells passed by)."""

    lower: Ints
    upper: Ints
    least: Ints
    most: Ints


def close_pairs(problem: Problem, lower: Ints, reach: Ints) -> Pairs:
    """All pairs from these lower cells up whose person difference is below `reach` of the lower."""
    beside_sum, beside_max = _beside(problem)
    none = np.zeros(0, np.int64)
    found = Pairs(none, none, none, none)
    at = Pairs(lower, lower, np.zeros_like(lower), np.zeros_like(lower))
    order, starts = problem.by_child
    while at.lower.size:
        positions, owner = ragged(starts, at.upper)
        edges = order[positions]
        above = problem.parent[problem.edge_group[edges]]
        near = problem.persons[above] - problem.persons[at.lower[owner]] < reach[at.lower[owner]]
        edges, owner, above = edges[near], owner[near], above[near]
        step = Pairs(
            at.lower[owner],
            above,
            np.maximum(at.least[owner], beside_max[edges]),
            at.most[owner] + beside_sum[edges],
        )
        at = _distinct(problem, step)
        found = Pairs(
            *(np.concatenate(both) for both in zip(_tuple(found), _tuple(at), strict=True))
        )
    return _distinct(problem, found)


class Leaks:
    """The attack on one problem; hiding only grows, so once it finds nothing it never will."""

    def __init__(self) -> None:
        self._over = False

    def __call__(self, problem: Problem, hidden: Bools) -> Ints:
        """As `leaks`."""
        found = np.zeros(0, np.int64) if self._over else leaks(problem, hidden)
        self._over = not found.size
        return found


def leaks(problem: Problem, hidden: Bools) -> Ints:
    """Published cells that leave fewer than k persons of a published cell above them."""
    lower = np.flatnonzero(~hidden & (problem.persons > 0))
    pairs = close_pairs(problem, lower, problem.node_k)
    small = (pairs.most > 0) & (pairs.least < problem.node_k[pairs.lower])
    return distinct(pairs.lower[small & ~hidden[pairs.upper]], hidden.size)


def _beside(problem: Problem) -> tuple[Ints, Ints]:
    """Per edge: persons summed over, and the largest of, the other children of its group."""
    persons = problem.persons[problem.edge_child]
    group, starts = problem.edge_group, problem.starts
    total = np.zeros(problem.parent.size, np.int64)
    np.add.at(total, group, persons)
    last = starts[1:] - 1
    second = np.where(last - 1 >= starts[:-1], persons[last - 1], 0)
    is_last = np.arange(group.size) == last[group]
    return total[group] - persons, np.where(is_last, second[group], persons[last][group])


def _distinct(problem: Problem, pairs: Pairs) -> Pairs:
    """One entry per pair: the way that proves most persons between the two."""
    if not pairs.lower.size:
        return pairs
    key = pairs.lower * problem.persons.size + pairs.upper
    order = np.lexsort((pairs.most, -pairs.least, key))
    keep = order[np.concatenate([[True], np.diff(key[order]) != 0])]
    return Pairs(*(part[keep] for part in _tuple(pairs)))


def _tuple(pairs: Pairs) -> tuple[Ints, Ints, Ints, Ints]:
    return pairs.lower, pairs.upper, pairs.least, pairs.most
