"""An attacker on a protected table, sharing no code with the protection.

Knows every published figure exactly (no rounding), the roll-ups, and which cells are empty. Tries
to compute a hidden cell's amounts exactly by elimination over all equations, and to bound its
person count by linear programming. Worked by hand on the tables of `test_sdc_attacker.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

PRIME = 2**31 - 1
"""Elimination is exact in the field of this prime; a rank differs from the rational one only if
the prime divides a minor of a 0/±1 matrix, which no table here is near."""

HASTE = 300
"""Greedy steps before the slow rule that cannot cycle."""

Cell = tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """What is known: cells with persons, hidden ones, and equations parent = Σ children.

    `parents[axis][code]` is the next coarser code, -1 where no coarser figure is published;
    `adds_up[axis]` says that persons have one value on the axis.
    """

    persons: Mapping[Cell, int]
    hidden: frozenset[Cell]
    parents: Sequence[Sequence[int]]
    adds_up: Sequence[bool]

    def equations(self) -> list[tuple[Cell, list[Cell], bool]]:
        families: dict[tuple[Cell, int], list[Cell]] = defaultdict(list)
        for cell in self.persons:
            for at, roll_up in enumerate(self.parents):
                if cell[at] and roll_up[cell[at]] >= 0:
                    upper = (*cell[:at], roll_up[cell[at]], *cell[at + 1 :])
                    if upper in self.persons:
                        families[upper, at].append(cell)
        return [(upper, cells, self.adds_up[at]) for (upper, at), cells in families.items()]

    def computable(self) -> set[Cell]:
        """Hidden cells whose figures of records (visits, amounts) follow from published ones."""
        unknown = {cell: i for i, cell in enumerate(sorted(self.hidden))}
        rows = []
        for upper, children, _ in self.equations():
            row = np.zeros(len(unknown), np.int64)
            for cell, sign in [(upper, PRIME - 1), *((c, 1) for c in children)]:
                if cell in unknown:
                    row[unknown[cell]] = sign
            if row.any():
                rows.append(row)
        found = _determined(rows)
        return {cell for cell, i in unknown.items() if i in found}

    def bounds(self, cells: Sequence[Cell]) -> dict[Cell, tuple[float, float]]:
        """Least and greatest person count of each cell over all solutions of the equations."""
        unknown = {cell: i for i, cell in enumerate(sorted(self.hidden))}
        rows = []
        for upper, children, adds_up in self.equations():
            if adds_up and sum(self.persons[c] for c in children) == self.persons[upper]:
                row = np.zeros(len(unknown) + 1)
                for cell, sign in [(upper, -1.0), *((c, 1.0) for c in children)]:
                    if cell in unknown:
                        row[unknown[cell]] = sign
                    else:
                        row[-1] -= sign * self.persons[cell]
                rows.append(row)
        table = np.array(rows).reshape(len(rows), len(unknown) + 1)
        solver = _Simplex.feasible(table[np.abs(table[:, :-1]).any(axis=1)])
        return {cell: solver.range_of(unknown[cell]) for cell in cells}

    def squeezed(self, cells: Sequence[Cell]) -> dict[Cell, tuple[float, float]]:
        """Bounds by squeezing one cell at a time with what every axis allows, until still.

        A parent is at most the sum of its children and at least the largest; where persons add up,
        exactly the sum.
        """
        low = {c: 0.0 if c in self.hidden else float(n) for c, n in self.persons.items()}
        high = {c: np.inf if c in self.hidden else float(n) for c, n in self.persons.items()}
        before = None
        while before != (before := (dict(low), dict(high))):
            for upper, children, adds_up in self.equations():
                exact = adds_up and sum(self.persons[c] for c in children) == self.persons[upper]
                _squeeze(low, high, upper, children, exact)
        return {cell: (low[cell], high[cell]) for cell in cells}


def _squeeze(
    low: dict[Cell, float], high: dict[Cell, float], upper: Cell, children: list[Cell], exact: bool
) -> None:
    for child in children:
        others = [c for c in children if c != child]
        low[child] = max(low[child], low[upper] - sum(high[c] for c in others))
        room = high[upper] - (sum(low[c] for c in others) if exact else 0)
        high[child] = min(high[child], room)
    high[upper] = min(high[upper], sum(high[c] for c in children))
    least = [low[c] for c in children]
    low[upper] = max(low[upper], sum(least) if exact else max(least))


def _determined(rows: list[np.ndarray]) -> set[int]:
    """Unknowns that are alone in their row once the system is fully reduced."""
    matrix = np.array(rows, np.int64).reshape(len(rows), len(rows[0]) if rows else 0)
    pivot_rows: list[int] = []
    top = 0
    for column in range(matrix.shape[1]):
        below = np.flatnonzero(matrix[top:, column])
        if not below.size:
            continue
        matrix[[top, top + below[0]]] = matrix[[top + below[0], top]]
        inverse = pow(int(matrix[top, column]), PRIME - 2, PRIME)
        matrix[top] = matrix[top] * inverse % PRIME
        factor = matrix[:, column].copy()
        factor[top] = 0
        matrix = (matrix - factor[:, None] * matrix[top] % PRIME) % PRIME
        pivot_rows.append(column)
        top += 1
        if top == matrix.shape[0]:
            break
    return {c for r, c in enumerate(pivot_rows) if np.count_nonzero(matrix[r]) == 1}


@dataclass
class _Simplex:
    """A tableau in canonical form; greedy at first, then by Bland's rule, which always ends."""

    table: np.ndarray
    basis: list[int]

    @classmethod
    def feasible(cls, table: np.ndarray) -> _Simplex:
        """Phase one: artificial unknowns driven to zero; redundant rows dropped."""
        table = np.where(table[:, -1:] < 0, -table, table)
        rows, width = table.shape[0], table.shape[1] - 1
        full = np.hstack([table[:, :-1], np.eye(rows), table[:, -1:]])
        solver = cls(full, list(range(width, width + rows)))
        goal = np.zeros(width + rows)
        goal[width:] = -1.0
        solver.maximise(goal)
        solver._drop(width)
        return solver

    def _drop(self, width: int) -> None:
        keep = []
        for row in range(len(self.basis)):
            if self.basis[row] >= width:
                free = np.flatnonzero(np.abs(self.table[row, :width]) > 1e-7)
                if not free.size:
                    continue
                self._pivot(row, int(free[0]))
            keep.append(row)
        columns = [*range(width), self.table.shape[1] - 1]
        self.table = self.table[np.ix_(keep, columns)]
        self.basis = [self.basis[row] for row in keep]

    def range_of(self, unknown: int) -> tuple[float, float]:
        goal = np.zeros(self.table.shape[1] - 1)
        goal[unknown] = 1.0
        high = self.maximise(goal)
        return -self.maximise(-goal), high

    def maximise(self, goal: np.ndarray) -> float:
        for step in count():
            price = goal - goal[self.basis] @ self.table[:, :-1]
            better = np.flatnonzero(price > 1e-7)
            if not better.size:
                break
            column = int(better[0] if step > HASTE else price.argmax())
            rising = np.flatnonzero(self.table[:, column] > 1e-9)
            if not rising.size:
                return np.inf
            ratio = self.table[rising, -1] / self.table[rising, column]
            ties = rising[ratio <= ratio.min() + 1e-9]
            self._pivot(int(min(ties, key=lambda r: self.basis[r])), column)
        return float(goal[self.basis] @ self.table[:, -1])

    def _pivot(self, row: int, column: int) -> None:
        self.table[row] /= self.table[row, column]
        factor = self.table[:, column].copy()
        factor[row] = 0.0
        self.table -= np.outer(factor, self.table[row])
        self.basis[row] = column
