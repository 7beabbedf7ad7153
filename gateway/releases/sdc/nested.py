"""Subtraction between two tables, one counting persons among those of the other.

The persons of an inner cell (patients of a drug, women, outpatients) all lie in the outer table's
cells that contain it (everybody, women, …). What is left of an outer cell after one or two cells
within it is a count of persons too: with a drug in one service and without in none. No such rest
may be 1 … k−1. Three ways are searched: outer less inner; outer less two inner siblings; outer
less an outer child and an inner cell beside that child.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.releases.sdc.lattice import Bools, CellIndex, Ints, Lattice, ragged

Codes: TypeAlias = NDArray[np.int32]
Step: TypeAlias = tuple[int, Ints]
"""How an outer axis is read off an inner cell: the inner axis and its codes' outer codes (-1: not
in the outer list); or axis -1 and the one outer code that all inner cells have."""


@dataclass(frozen=True)
class Counts:
    """One table: its lattice, a figure per cell, and which figures are shown."""

    lattice: Lattice
    persons: Ints
    shown: Bools


@dataclass(frozen=True)
class Rests:
    """`outer − inner`, less one more cell where `second` is not -1, is too small.

    The second cell is one of the inner table, or of the outer where `beside` is true.
    """

    outer: Ints
    inner: Ints
    second: Ints
    beside: Bools

    @classmethod
    def of(cls, outer: Ints, inner: Ints, second: Ints | None, *, beside: bool) -> Rests:
        none = np.full(outer.size, -1, np.int64)
        return cls(outer, inner, none if second is None else second, np.full(outer.size, beside))


def rests(outer: Counts, inner: Counts, steps: tuple[Step, ...], k: int) -> Rests:
    """Every subtraction of two or three shown figures across the tables that gives 1 … k−1."""
    search = _Search(outer, inner, steps, k)
    cells = _shown(inner)
    whose, upper = search.containing(inner.lattice.codes[cells])
    lower = cells[whose]
    left = outer.persons[upper] - inner.persons[lower]
    few = (np.abs(left) >= 1) & (np.abs(left) < k)
    found = [Rests.of(upper[few], lower[few], None, beside=False)]
    found += [search.siblings(axis) for axis in range(len(inner.lattice.axes))]
    pairs = (upper, lower, left)
    found += [search.beside(axis, pairs) for axis in range(len(outer.lattice.axes))]
    return _joined(found)


def _shown(of: Counts) -> Ints:
    return np.flatnonzero(of.shown & (of.persons > 0))


def _below(of: Counts, axis: int) -> tuple[Ints, Ints]:
    """Shown cells that have a coarser code on an axis, and that code."""
    cells = _shown(of)
    above = of.lattice.axes[axis].parent[of.lattice.codes[cells, axis]].astype(np.int64)
    return cells[above >= 0], above[above >= 0]


@dataclass(frozen=True)
class _Search:
    outer: Counts
    inner: Counts
    steps: tuple[Step, ...]
    k: int

    @cached_property
    def index(self) -> CellIndex:
        return self.outer.lattice.index

    @cached_property
    def ladders(self) -> list[Ints]:
        """By outer axis: for each inner code the outer codes that contain it, finest first."""
        return [self._ladder(axis) for axis in range(len(self.steps))]

    def _ladder(self, axis: int) -> Ints:
        source, table = self.steps[axis]
        up = self.outer.lattice.axes[axis].parent
        own = None if source < 0 else self.inner.lattice.axes[source].parent
        rows = [
            list(
                dict.fromkeys(over for t in _climb(code, own) for over in _climb(int(table[t]), up))
            )
            for code in range(table.size)
        ]
        ladder = np.full((len(rows), max(1, *map(len, rows))), -1, np.int64)
        for row, codes in zip(ladder, rows, strict=True):
            row[: len(codes)] = codes
        return ladder

    def _read(self, axis: int, codes: Codes) -> Ints:
        """The outer codes on an axis that contain inner cells of these codes."""
        source = self.steps[axis][0]
        at = codes[:, source] if source >= 0 else np.zeros(codes.shape[0], np.int32)
        found: Ints = self.ladders[axis][at]
        return found

    def containing(self, codes: Codes) -> tuple[Ints, Ints]:
        """Shown outer cells that contain inner cells of these codes, after which of these."""
        whose, keys = np.arange(codes.shape[0]), np.zeros(codes.shape[0], np.int64)
        for axis in range(len(self.steps)):
            options = self._read(axis, codes[whose])
            row, column = np.nonzero(options >= 0)
            keys = keys[row] + options[row, column] * self.index.strides[axis]
            whose = whose[row]
        upper = self.index.find(keys)
        there = upper >= 0
        there[there] = self.outer.shown[upper[there]] & (self.outer.persons[upper[there]] > 0)
        return whose[there], upper[there]

    def siblings(self, axis: int) -> Rests:
        """Outer less two inner cells that are children of one cell, be it published or not."""
        cells, above = _below(self.inner, axis)
        codes = self.inner.lattice.codes[cells]
        codes[:, axis] = above
        key = codes.astype(np.int64) @ self.inner.lattice.index.strides
        parent, first, group = np.unique(key, return_index=True, return_inverse=True)
        count = self.inner.persons[cells]
        order = np.lexsort((count, group))
        cells, count, group = cells[order], count[order], group[order]
        starts = np.searchsorted(group, np.arange(parent.size + 1)).astype(np.int64)
        whose, upper = self.containing(codes[first])
        edges, case = ragged(starts, whose)
        low, high = _pairs_near(count[edges], case, self.outer.persons[upper][case], self.k)
        return Rests.of(upper[case[low]], cells[edges[low]], cells[edges[high]], beside=False)

    def beside(self, axis: int, pairs: tuple[Ints, Ints, Ints]) -> Rests:
        """Outer less one of its children along an axis, less an inner cell of another child."""
        lattice = self.outer.lattice
        cells, value, span = self._children(axis)
        codes = self.inner.lattice.codes[pairs[1]]
        place = self._read(axis, codes)[:, 0] if codes.size else pairs[1]
        deep = (place >= 0) & (place != lattice.codes[pairs[0], axis])
        upper, lower, left, place = (part[deep] for part in (*pairs, place))
        begin = np.searchsorted(value, upper * span + np.maximum(left - self.k + 1, 0))
        end = np.searchsorted(value, upper * span + np.maximum(left + self.k, 0))
        starts = np.append(0, np.cumsum(np.maximum(end - begin, 0))).astype(np.int64)
        position, case = ragged(starts, np.arange(upper.size))
        child = cells[position - starts[case] + begin[case]]
        rest = np.abs(left[case] - self.outer.persons[child])
        apart = ~_within(lattice, axis, place[case], lattice.codes[child, axis].astype(np.int64))
        keep = (rest >= 1) & (rest < self.k) & apart
        return Rests.of(upper[case[keep]], lower[case[keep]], child[keep], beside=True)

    def _children(self, axis: int) -> tuple[Ints, Ints, int]:
        """Shown outer cells in order of parent and count, what they are ordered by, its unit."""
        lattice, persons = self.outer.lattice, self.outer.persons
        cells, above = _below(self.outer, axis)
        move = (above - lattice.codes[cells, axis]) * self.index.strides[axis]
        parent = self.index.find(self.index.key[cells] + move)
        cells, parent = cells[parent >= 0], parent[parent >= 0]
        span = int(persons.max(initial=0)) + 2 * self.k
        value = parent * span + persons[cells]
        order = np.argsort(value, kind="stable")
        return cells[order], value[order], span


def _climb(code: int, parent: Codes | None) -> Iterator[int]:
    """A code and all it rolls up to; nothing for -1."""
    while code >= 0:
        yield code
        code = -1 if parent is None else int(parent[code])


def _within(lattice: Lattice, axis: int, low: Ints, high: Ints) -> Bools:
    """Whether code `low` is `high` or lies below it."""
    up = lattice.axes[axis].parent
    found: Bools = low == high
    while (low > 0).any():
        low = np.where(low > 0, up[np.maximum(low, 0)], low)
        found |= low == high
    return found


def _pairs_near(count: Ints, case: Ints, target: Ints, k: int) -> tuple[Ints, Ints]:
    """Places of two different counts of one case whose sum misses its target by 1 … k−1.

    Inside each case the counts ascend, so the partners of a count are one range.
    """
    place = np.arange(count.size)
    span = 2 * int(max(count.max(initial=0), target.max(initial=0))) + 4 * k
    base = case * span + k
    keys = base + count
    want = target - count
    low = np.searchsorted(keys, base + np.maximum(want - k + 1, -k), side="left")
    high = np.searchsorted(keys, base + np.maximum(want + k - 1, -k), side="right")
    low = np.maximum(low, place + 1)
    starts = np.append(0, np.cumsum(np.maximum(high - low, 0))).astype(np.int64)
    position, one = ragged(starts, place)
    two = position - starts[one] + low[one]
    rest = np.abs(target[one] - count[one] - count[two])
    keep = (rest >= 1) & (rest < k)
    return one[keep], two[keep]


def _joined(parts: list[Rests]) -> Rests:
    return Rests(
        np.concatenate([part.outer for part in parts]),
        np.concatenate([part.inner for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.beside for part in parts]),
    )
