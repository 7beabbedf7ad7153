"""What an attacker can bound: feasibility intervals of hidden person counts.

The shuttle algorithm of Buzzigoli and Giusti: every group tightens the interval of each of its
members from those of the others, again and again. Published cells count as known exactly, which is
more than the attacker of a rounded release has. Intervals always hold the true count, and get
tighter with every sweep, so a bounded number of sweeps only overestimates their width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints, ragged
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.settle import edges_of, groups_under

SWEEPS = 100
UNBOUNDED = np.int64(2**36)


@dataclass(frozen=True)
class Intervals:
    """Lowest and highest feasible person count per node."""

    low: Ints
    high: Ints

    @property
    def width(self) -> Ints:
        return self.high - self.low


def intervals(problem: Problem, hidden: Bools, sweeps: int = SWEEPS) -> Intervals:
    """Intervals after tightening over all groups with hidden members until nothing moves."""
    low = np.where(hidden, 0, problem.persons)
    high = np.where(hidden, UNBOUNDED, problem.persons)
    settle(problem, np.flatnonzero(hidden), low, high, sweeps)
    return Intervals(low, high)


def settle(problem: Problem, nodes: Ints, low: Ints, high: Ints, sweeps: int = SWEEPS) -> None:
    """Tighten around the nodes, and on around whatever moves, in place."""
    groups = around(problem, nodes)
    for _ in range(sweeps):
        if not groups.size:
            break
        groups = around(problem, _sweep(problem, groups, low, high))


def around(problem: Problem, nodes: Ints) -> Ints:
    """The sound groups these nodes are members of: only there anything can tighten."""
    touched = np.zeros(problem.parent.size, np.bool_)
    touched[problem.edge_group[edges_of(problem, nodes)]] = True
    touched[groups_under(problem, nodes)] = True
    return np.flatnonzero(touched & problem.sound)


def _sweep(problem: Problem, groups: Ints, low: Ints, high: Ints) -> Ints:
    """Tighten the members of each group by those of the others, in place; which nodes moved."""
    edges, _ = ragged(problem.starts, groups)
    child, parent, equal = problem.edge_child[edges], problem.parent[groups], problem.equal[groups]
    sizes = problem.sizes[groups]
    starts = np.cumsum(sizes) - sizes
    low_c, high_c, low_p, high_p = low[child], high[child], low[parent], high[parent]
    sum_low, sum_high = np.add.reduceat(low_c, starts), np.add.reduceat(high_c, starts)
    # parent − Σ others: a floor in every group, a ceiling too where persons add up.
    ceiling = np.repeat(np.where(equal, high_p - sum_low, high_p), sizes)
    ceiling += np.where(np.repeat(equal, sizes), low_c, 0)
    floor = np.repeat(low_p - sum_high, sizes) + high_c
    least = np.where(equal, sum_low, np.maximum.reduceat(low_c, starts))
    moved = np.zeros(low.size, np.bool_)
    for nodes, bound, now in ((child, ceiling, high_c), (parent, sum_high, high_p)):
        at = np.flatnonzero(bound < now)
        np.minimum.at(high, nodes[at], bound[at])
        moved[nodes[at]] = True
    for nodes, bound, now in ((child, floor, low_c), (parent, least, low_p)):
        at = np.flatnonzero(bound > now)
        np.maximum.at(low, nodes[at], bound[at])
        moved[nodes[at]] = True
    return np.flatnonzero(moved)
