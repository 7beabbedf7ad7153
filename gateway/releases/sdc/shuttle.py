"""What an attacker can bound: feasibility intervals of hidden person counts.

The shuttle algorithm of Buzzigoli and Giusti: every group tightens the interval of each of its
members from those of the others, again and again. Published cells count as known exactly, which is
more than the attacker of a rounded release has. Intervals always hold the true count, and get
tighter with every sweep, so a bounded number of sweeps only overestimates their width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints
from gateway.releases.sdc.problem import Problem

SWEEPS = 100
_UNBOUNDED = np.int64(2**36)


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
    high = np.where(hidden, _UNBOUNDED, problem.persons)
    concerned = hidden[problem.parent].copy()
    concerned[problem.edge_group[hidden[problem.edge_child]]] = True
    system = active = _System.of(problem).where(concerned & problem.sound)
    for _ in range(sweeps):
        moved = active.tighten(low, high)
        if not moved.any():
            break
        active = system.touching(moved)
    return Intervals(low, high)


@dataclass(frozen=True)
class _System:
    """Groups to sweep over: parents, and edges sorted by group."""

    parent: Ints
    group: Ints
    child: Ints
    equal: Bools

    @classmethod
    def of(cls, problem: Problem) -> _System:
        return cls(problem.parent, problem.edge_group, problem.edge_child, problem.equal)

    def where(self, chosen: Bools) -> _System:
        """The chosen groups alone."""
        edges = chosen[self.group]
        number = np.cumsum(chosen) - 1
        group = number[self.group[edges]]
        return _System(self.parent[chosen], group, self.child[edges], self.equal[chosen])

    def touching(self, moved: Bools) -> _System:
        """The groups with a member that moved: only they can tighten anything further."""
        touched = moved[self.parent].copy()
        touched[self.group[moved[self.child]]] = True
        return self.where(touched)

    def tighten(self, low: Ints, high: Ints) -> Bools:
        """One sweep over the groups, in place; which nodes moved."""
        before_low, before_high = low.copy(), high.copy()
        if self.parent.size:
            self._sweep(low, high)
        moved: Bools = (low != before_low) | (high != before_high)
        return moved

    def _sweep(self, low: Ints, high: Ints) -> None:
        starts = np.flatnonzero(np.diff(self.group, prepend=-1))
        low_c, high_c = low[self.child], high[self.child]
        sum_low, sum_high = np.add.reduceat(low_c, starts), np.add.reduceat(high_c, starts)
        # parent − Σ others: a floor in every group, a ceiling too where persons add up.
        room = np.where(self.equal, high[self.parent] - sum_low, high[self.parent])
        own = np.where(self.equal[self.group], low_c, 0)
        np.minimum.at(high, self.child, room[self.group] + own)
        np.maximum.at(low, self.child, (low[self.parent] - sum_high)[self.group] + high_c)
        floor = np.where(self.equal, sum_low, np.maximum.reduceat(low_c, starts))
        np.maximum.at(low, self.parent, floor)
        np.minimum.at(high, self.parent, sum_high)
