"""Exact intervals of hidden cells by linear programming (HiGHS), few programmes for many cells.

A solution seen proves what it shows: that a cell may be empty, or that its interval is wide. So
one programme over all open cells settles most of them, and only what stays open costs two of its
own. Every interval that is reported is the optimum of its own programmes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import OptimizeResult, linprog

from gateway.releases.attack.space import Bools, Floats, Ints
from gateway.releases.attack.system import EQUAL, System

EPS = 1e-6
_OPTIMAL, _CUT_SHORT, _UNBOUNDED = 0, 1, 3
_LONGEST = 86_400.0
_SHARED = 10  # HiGHS counts seconds on the wall; the processor may be shared by so many


_ROUNDS = 6
_ISLANDS = (1, 2, 3)
_HOPS, _NEAR = 5, 4000
_SLACK = 1e-9


class Late(Exception):
    """The time that was granted is used up."""


class Inconsistent(Exception):
    """No numbers fit what is published: the rows assume something that does not hold."""


@dataclass
class Effort:
    """What the attack took, and the moment it has to stop."""

    deadline: float = float("inf")
    largest: float = float("inf")  # unknowns of a component that programmes are tried on
    systems: int = 1  # how many are still to come; each gets its part of the time that is left
    now: Callable[[], float] = time.process_time
    until: float = float("inf")
    programmes: int = 0
    repairs: int = 0
    seconds: float = 0.0

    def begin(self) -> None:
        """The next system: it may take its part of the time that is left."""
        now = self.now()
        self.until = now + max(0.0, self.deadline - now) / max(1, self.systems)
        self.systems -= 1

    @property
    def over(self) -> bool:
        """Whether nothing more may be begun."""
        return self.now() >= self.deadline

    def left(self) -> float:
        """Seconds that are left for this system; raises if there are none."""
        left = self.until - self.now()
        if left <= 0:
            raise Late
        return min(_SHARED * left, _LONGEST)


@dataclass
class Programme:
    """The rows of one component as a programme."""

    system: System
    unknowns: Ints
    lines: Ints
    effort: Effort
    low: Floats = field(init=False)
    high: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.low = self.system.low[self.unknowns].copy()
        self.high = self.system.high[self.unknowns].copy()
        part = self.system.matrix[self.lines][:, self.unknowns]
        self._whole, self._by_column = part.tocsr(), part.tocsc()
        self._senses = self.system.senses[self.lines]
        equal = self._senses == EQUAL
        self._equal, self._at_most = part[equal], part[~equal]
        self.equal_lines, self.at_most_lines = self.lines[equal], self.lines[~equal]

    def solve(self, weights: Floats, held: Floats | None = None) -> OptimizeResult:
        """Minimise a weighted sum of the unknowns; with `held`, the published ones stay as they
        are in that solution, so that what is hidden falls into small islands."""
        left = self.effort.left()
        stays = np.isfinite(self.high) if held is not None else np.zeros(self.high.size, np.bool_)
        where = held if held is not None else self.low
        low = np.where(stays, np.clip(where, self.low, self.high), self.low)
        high = np.where(stays, np.clip(where, self.low, self.high), self.high)
        began = self.effort.now()
        result = linprog(
            weights,
            A_ub=self._at_most if self._at_most.shape[0] else None,
            b_ub=np.zeros(self._at_most.shape[0]) if self._at_most.shape[0] else None,
            A_eq=self._equal if self._equal.shape[0] else None,
            b_eq=np.zeros(self._equal.shape[0]) if self._equal.shape[0] else None,
            bounds=np.stack([low, high], axis=1),
            method="highs",
            options={"time_limit": left},
        )
        self.effort.programmes += 1
        self.effort.seconds += self.effort.now() - began
        if result.status == _CUT_SHORT:
            raise Late
        return result

    def one(self, at: int, sign: float) -> OptimizeResult:
        """The least (1) or greatest (−1) value of one unknown."""
        weights = np.zeros(self.unknowns.size)
        weights[at] = sign
        return self.solve(weights)

    def filled(self, cells: Ints, known: Bools) -> Ints:
        """Which of these cells cannot be empty; of those `known` it is settled already."""
        open_ = cells[~known[cells]]
        sure = [cells[known[cells]]]
        seen = None
        chance = np.random.default_rng(0)
        for turn in range(_ROUNDS):
            if not open_.size:
                break
            weights = np.zeros(self.unknowns.size)
            # Of two cells that cannot both be empty, unequal weights empty the one or the other.
            weights[open_] = chance.uniform(0.5, 1.5, open_.size) if turn else 1.0
            result = self.solve(weights, seen if turn in _ISLANDS else None)
            if result.status != _OPTIMAL:
                raise Inconsistent
            seen = result.x
            open_ = open_[seen[open_] > EPS]
        if seen is not None:
            open_ = np.array([at for at in open_.tolist() if not self._emptied(at, seen)], np.int64)
        found = [at for at in open_.tolist() if self._least(at) > EPS]
        return np.sort(np.concatenate([*sure, np.array(found, np.int64)]))

    def _emptied(self, at: int, seen: Floats) -> bool:
        """Whether a cell is empty in a solution that differs from a known one only around it."""
        left = self.effort.left()
        columns = self._around(at)
        part = self._whole[:, columns]
        touched = np.flatnonzero(np.diff(part.indptr))
        part = part[touched]
        rest = -(self._whole[touched] @ seen - part @ seen[columns])
        equal = self._senses[touched] == EQUAL
        result = linprog(
            (columns == at).astype(np.float64),
            A_ub=part[~equal] if (~equal).any() else None,
            b_ub=rest[~equal] + _SLACK if (~equal).any() else None,
            A_eq=part[equal] if equal.any() else None,
            b_eq=rest[equal] if equal.any() else None,
            bounds=np.stack([self.low[columns], self.high[columns]], axis=1),
            method="highs",
            options={"time_limit": left},
        )
        self.effort.repairs += 1
        return bool(result.status == _OPTIMAL and result.fun <= EPS)

    def _around(self, at: int) -> Ints:
        """The unknowns around one, a few rows away."""
        near = np.array([at])
        for _ in range(_HOPS):
            rows = np.unique(self._by_column[:, near].indices)
            wider = np.unique(self._whole[rows].indices)
            if wider.size > _NEAR:
                break
            near = wider
        return near.astype(np.int64)

    def _least(self, at: int) -> float:
        result = self.one(at, 1.0)
        return float(result.fun) if result.status == _OPTIMAL else 0.0

    def narrow(self, cells: Ints, width: Floats) -> dict[int, tuple[float, float]]:
        """The intervals of those cells that are narrower than `width` (one entry per cell)."""
        seen_low, seen_high = np.full(cells.size, np.inf), np.full(cells.size, -np.inf)
        open_ = np.arange(cells.size)
        for sign in (1.0, -1.0, 1.0, -1.0):
            if not open_.size:
                return {}
            weights = np.zeros(self.unknowns.size)
            weights[cells[open_]] = sign
            result = self.solve(weights)
            if result.status == _UNBOUNDED:
                continue
            if result.status != _OPTIMAL:
                return {}
            seen_low = np.minimum(seen_low, result.x[cells])
            seen_high = np.maximum(seen_high, result.x[cells])
            open_ = open_[seen_high[open_] - seen_low[open_] < width[open_] - EPS]
        found = {}
        for at in open_.tolist():
            low, high = self.interval(int(cells[at]))
            if high - low < width[at] - EPS:
                found[int(cells[at])] = (low, high)
        return found

    def interval(self, at: int) -> tuple[float, float]:
        """The least and the greatest value of one unknown over all solutions."""
        least, most = self.one(at, 1.0), self.one(at, -1.0)
        low = float(least.fun) if least.status == _OPTIMAL else -np.inf
        high = -float(most.fun) if most.status == _OPTIMAL else np.inf
        return low, high


def programmes(system: System, wanted: Bools, effort: Effort) -> list[tuple[Programme, Ints]]:
    """One programme per component that has wanted unknowns, with the places of these in it."""
    labels = system.components
    matrix = system.matrix.tocsr()
    first = matrix.indices[np.minimum(matrix.indptr[:-1], max(matrix.nnz - 1, 0))]
    of_row = labels[first] if len(system.rows) else np.zeros(0, np.int64)
    found = []
    for label in np.unique(labels[wanted]):
        unknowns, lines = np.flatnonzero(labels == label), np.flatnonzero(of_row == label)
        if lines.size:
            cells = np.flatnonzero(wanted[unknowns])
            found.append((Programme(system, unknowns, lines, effort), cells))
    return found
