"""Attack by elimination: what adds up in records may fix a hidden cell exactly.

Visits and amounts add up in every group, so all groups together are one linear system in the
hidden cells. A cell can be computed when all solutions agree on it. That is tested by solutions at
random: a random change of all cells, less the part of it that the equations see (conjugate
gradients), is a change nobody can see. A cell that none of them moves, or by too little to be told
from the error of the method, counts as computed. Systems of more than `MOST_CELLS` hidden cells are
not tried: the method does not settle there in reasonable time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.bounds import relief
from gateway.releases.sdc.lattice import Bools, Floats, Ints
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.shuttle import intervals

MOST_CELLS = 20_000
_ROUNDS, _EXACT, _STILL, _DRAWS = 1000, 1e-9, 1e-5, 2


def computed(problem: Problem, hidden: Bools) -> Ints:
    """Published nodes to hide because a primary cell can be computed."""
    cells = np.flatnonzero(hidden & (problem.persons > 0))
    open_ = problem.primary[cells]
    if not open_.any() or cells.size > MOST_CELLS:
        return np.zeros(0, np.int64)
    system = _System.of(problem, cells)
    for seed in range(_DRAWS):
        if open_.any():
            change = system.unseen(_draw(problem, cells, seed))
            open_ &= np.abs(change) < _STILL
    if not open_.any():
        return np.zeros(0, np.int64)
    return relief(problem, hidden, cells[open_], intervals(problem, hidden))


def _draw(problem: Problem, cells: Ints, seed: int) -> Floats:
    """A random number per cell, the same whatever the order of the rows."""
    numbers = np.random.default_rng(seed).standard_normal(cells.size)
    drawn = np.empty(cells.size)
    drawn[np.argsort(problem.place[cells], kind="stable")] = numbers
    return drawn


@dataclass(frozen=True)
class _System:
    """One row per group with a hidden member: +1 for its hidden children, -1 for the parent.

    Children of a parent below k may be left out of the lattice; such a group says nothing, unless
    its persons show that it is whole.
    """

    row: Ints
    column: Ints
    sign: Floats
    rows: int
    columns: int

    @classmethod
    def of(cls, problem: Problem, cells: Ints) -> _System:
        number = np.full(problem.persons.size, -1, np.int64)
        number[cells] = np.arange(cells.size)
        whole = problem.equal | (problem.persons[problem.parent] >= problem.group_k)
        edges = np.flatnonzero((number[problem.edge_child] >= 0) & whole[problem.edge_group])
        own = np.flatnonzero((number[problem.parent] >= 0) & whole)
        group = np.concatenate([problem.edge_group[edges], own])
        distinct, row = np.unique(group, return_inverse=True)
        column = number[np.concatenate([problem.edge_child[edges], problem.parent[own]])]
        sign = np.concatenate([np.ones(edges.size), -np.ones(own.size)])
        # Rows of equal length: groups of a hundred children must not outweigh those of two.
        weight = 1 / np.sqrt(np.bincount(row, minlength=distinct.size))
        return cls(row, column, sign * weight[row], distinct.size, cells.size)

    def unseen(self, change: Floats) -> Floats:
        """The part of a change that no equation sees: conjugate gradients on what they do see."""
        rest = change.copy()
        seen = self._seen(rest)
        way, size = seen, float(seen @ seen)
        goal = size * _EXACT**2
        for _ in range(_ROUNDS):
            if size <= goal:
                break
            back = self._back(way)
            step = size / float(back @ back)
            rest -= step * back
            seen = seen - step * self._seen(back)
            size, before = float(seen @ seen), size
            way = seen + (size / before) * way
        return rest

    def _seen(self, cells: Floats) -> Floats:
        seen = np.bincount(self.row, self.sign * cells[self.column], minlength=self.rows)
        return seen.astype(np.float64, copy=False)

    def _back(self, groups: Floats) -> Floats:
        weight = self.sign * groups[self.row]
        back = np.bincount(self.column, weight, minlength=self.columns)
        return back.astype(np.float64, copy=False)
