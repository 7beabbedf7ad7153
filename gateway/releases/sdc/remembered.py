"""Intervals of one problem while more and more of it is hidden, without starting afresh each time.

Hiding a cell widens what was bounded through it and nothing else. So those bounds that may have
come from it are forgotten, step by step, and tightened again; the rest still holds. The result is
that of `shuttle.intervals` from the beginning, as long as that comes to rest.
"""

from __future__ import annotations

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints, ragged
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.shuttle import UNBOUNDED, Intervals, around, intervals, settle

MANY = 0.01
"""Where so large a part of the cells is newly hidden, starting afresh is faster."""


class Remembered:
    """The intervals of a run of attacks on one problem; what is hidden only grows."""

    def __init__(self, afresh_above: float = MANY) -> None:
        self._many = afresh_above
        self._hidden: Bools | None = None
        self._found: Intervals | None = None

    def intervals(self, problem: Problem, hidden: Bools) -> Intervals:
        """As `shuttle.intervals`; valid until asked again."""
        before = hidden if self._hidden is None else self._hidden
        fresh = np.flatnonzero(hidden & ~before)
        if self._found is None or fresh.size > self._many * hidden.size:
            self._found = intervals(problem, hidden)
        else:
            _widen(problem, hidden, fresh, self._found)
        self._hidden = hidden.copy()
        return self._found


def _widen(problem: Problem, hidden: Bools, fresh: Ints, found: Intervals) -> None:
    """Forget what rests on the newly hidden nodes and bound it again, in place."""
    low, high = np.zeros(hidden.size, np.bool_), np.zeros(hidden.size, np.bool_)
    low[fresh] = high[fresh] = True
    gone = _Gone(problem, hidden, found, low, high)
    while fresh.size:
        fresh = gone.spread(around(problem, fresh))
    found.low[low] = 0
    found.high[high] = UNBOUNDED
    settle(problem, np.flatnonzero(low | high), found.low, found.high)


class _Gone:
    """Which lower and upper bounds may rest on a newly hidden node."""

    def __init__(
        self, problem: Problem, hidden: Bools, found: Intervals, low: Bools, high: Bools
    ) -> None:
        self._problem, self._hidden, self._found = problem, hidden, found
        self._low, self._high = low, high

    def spread(self, groups: Ints) -> Ints:
        """One step over these groups; the nodes of which another bound is gone now.

        A bound rests on a group if the group gives one at least as tight, and on what is gone if
        one of the bounds it is computed from is.
        """
        if not groups.size:
            return groups
        problem, low, high = self._problem, self._found.low, self._found.high
        edges, of = ragged(problem.starts, groups)
        child, parent = problem.edge_child[edges], problem.parent[groups]
        equal = problem.equal[groups]
        starts = np.cumsum(problem.sizes[groups]) - problem.sizes[groups]
        low_c, high_c = low[child], high[child]
        gone_low, gone_high = self._low[child].astype(np.int64), self._high[child].astype(np.int64)
        sum_low, sum_high = np.add.reduceat(low_c, starts), np.add.reduceat(high_c, starts)
        lows, highs = np.add.reduceat(gone_low, starts), np.add.reduceat(gone_high, starts)
        room = np.where(equal, high[parent] - sum_low, high[parent])
        ceiling = room[of] + np.where(equal[of], low_c, 0)
        floor = (low[parent] - sum_high)[of] + high_c
        own = np.where(equal, sum_low, np.maximum.reduceat(low_c, starts))
        other_lows = equal[of] & (lows[of] > gone_low)
        below = self._forget(
            child,
            (floor >= low_c) & (self._low[parent][of] | (highs[of] > gone_high)),
            (ceiling <= high_c) & (self._high[parent][of] | other_lows),
        )
        above = self._forget(
            parent, (own >= low[parent]) & (lows > 0), (sum_high <= high[parent]) & (highs > 0)
        )
        return np.concatenate([below, above])

    def _forget(self, nodes: Ints, low: Bools, high: Bools) -> Ints:
        may = self._hidden[nodes]
        low = low & may & ~self._low[nodes] & (self._found.low[nodes] > 0)
        high = high & may & ~self._high[nodes] & (self._found.high[nodes] < UNBOUNDED)
        self._low[nodes[low]] = True
        self._high[nodes[high]] = True
        return nodes[low | high]
