"""Which shown cells contain a cell, in its own table or in one whose persons it lies among.

The persons of an inner cell (patients of a drug, women, outpatients) all lie in the outer table's
cells that contain it (everybody, women, …). `combined` searches what follows from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.releases.sdc.lattice import Bools, CellIndex, Ints, Lattice

Codes: TypeAlias = NDArray[np.int32]
Step: TypeAlias = tuple[int, Ints]
"""How an outer axis is read off an inner cell: the inner axis and its codes' outer codes (-1: not
in the outer list); or axis -1 and the one outer code that all inner cells have."""


@dataclass(frozen=True)
class Counts:
    """One table: its lattice, a figure per cell, and which figures are shown.

    Where `persons` are exact, `rounded` are the figures as they are published. A `whole` lattice
    has every cell that holds records; one of published cells alone has not. `unnamed` are codes
    of each axis that nobody outside knows.
    """

    lattice: Lattice
    persons: Ints
    shown: Bools
    rounded: Ints | None = None
    whole: bool = True
    unnamed: tuple[frozenset[int], ...] = ()

    @cached_property
    def open(self) -> Bools:
        """Cells with a figure."""
        found: Bools = self.shown & (self.persons > 0)
        return found

    @cached_property
    def _open_keys(self) -> tuple[Ints, Ints]:
        """The cells with a figure, and their keys, ascending."""
        index = self.lattice.index
        cells = index.order[self.open[index.order]]
        return cells, index.key[cells]

    def find(self, keys: Ints) -> Ints:
        """The cell with a figure of each key, -1 where there is none."""
        cells, known = self._open_keys
        if not known.size:
            return np.full(keys.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(known, keys), known.size - 1)
        return np.where(known[at] == keys, cells[at], -1)

    @property
    def published(self) -> Ints:
        """The figures as a reader sees them."""
        return self.persons if self.rounded is None else self.rounded


def itself(lattice: Lattice) -> tuple[Step, ...]:
    """The steps from a table to itself."""
    return tuple((i, np.arange(axis.size + 1)) for i, axis in enumerate(lattice.axes))


@dataclass(frozen=True)
class Apart:
    """Cells of which something must be left out, seen along an inner axis."""

    axis: int
    codes: Codes


@dataclass(frozen=True)
class Above:
    """Looks up the shown cells of `outer` that contain cells of a lattice."""

    outer: Counts
    inner: Lattice
    steps: tuple[Step, ...]

    @property
    def index(self) -> CellIndex:
        """The outer cells by key."""
        return self.outer.lattice.index

    @cached_property
    def ladders(self) -> list[Ints]:
        """By outer axis: for each inner code the outer codes that contain it, finest first."""
        return [self._ladder(axis) for axis in range(len(self.steps))]

    def _ladder(self, axis: int) -> Ints:
        source, table = self.steps[axis]
        up = self.outer.lattice.axes[axis].parent
        own = None if source < 0 else self.inner.axes[source].parent
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

    def read(self, axis: int, codes: Codes, chosen: Ints | None = None) -> Ints:
        """The outer codes on an axis that contain inner cells of (some of) these codes.

        Finest first.
        """
        source = self.steps[axis][0]
        at = codes[:, source] if source >= 0 else np.zeros(codes.shape[0], np.int32)
        at = at if chosen is None else at[chosen]
        found: Ints = self.ladders[axis][at]
        return found

    def containing(
        self, codes: Codes, apart: Apart | None = None, below: Ints | None = None
    ) -> tuple[Ints, Ints]:
        """Shown outer cells that contain inner cells of these codes, after which of these.

        With `apart` only those that lack some of a larger cell, as seen along one inner axis; with
        `below` only those of fewer persons, a limit for each of the codes.
        """
        axes = [] if apart is None else [i for i, s in enumerate(self.steps) if s[0] == apart.axis]
        if apart is not None and not axes:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        whose, upper = self._containing(codes, apart, axes, below)
        if apart is None or len(axes) == 1:
            return whose, upper
        lacking = np.zeros(upper.size, np.bool_)
        for axis in axes:
            own = self.outer.lattice.codes[upper, axis]
            lacking |= ~(self.read(axis, apart.codes[whose]) == own[:, None]).any(axis=1)
        return whose[lacking], upper[lacking]

    def _containing(
        self, codes: Codes, apart: Apart | None, axes: Sequence[int], below: Ints | None
    ) -> tuple[Ints, Ints]:
        """Axis by axis, from the finest cell on."""
        options = [self.read(axis, codes) for axis in range(len(self.steps))]
        own = [of[:, 0] for of in options]
        if apart is not None and len(axes) == 1:
            all_of_it = self.read(axes[0], apart.codes)
            shared = (options[axes[0]][:, :, None] == all_of_it[:, None, :]).any(axis=2)
            options[axes[0]] = np.where(shared, -1, options[axes[0]])
        whose: Ints = np.flatnonzero(np.logical_and.reduce([code >= 0 for code in own]))
        keys: Ints = (np.stack(own, axis=1) @ self.index.strides)[whose]
        for of, code, stride in zip(options, own, self.index.strides, strict=True):
            same = bool((of[:, 0] == code).all())  # for nearly all cells and axes the only way
            ways = [(whose, keys)] if same else []
            for option in of.T[len(ways) :]:
                there = np.flatnonzero(option[whose] >= 0)
                case = whose[there]
                ways.append((case, keys[there] + (option[case] - code[case]) * stride))
            whose, keys = (np.concatenate(parts) for parts in zip(*ways, strict=True))
        upper = self.outer.find(keys)
        found = upper >= 0
        if below is not None:
            found &= self.outer.persons[upper] < below[whose]
        return whose[found], upper[found]


def _climb(code: int, parent: Codes | None) -> Iterator[int]:
    """A code and all it rolls up to; nothing for -1."""
    while code >= 0:
        yield code
        code = -1 if parent is None else int(parent[code])


def within(lattice: Lattice, axis: int, low: Ints, high: Ints) -> Bools:
    """Whether code `low` is `high` or lies below it."""
    up = lattice.axes[axis].parent
    found: Bools = low == high
    while (low > 0).any():
        low = np.where(low > 0, up[np.maximum(low, 0)], low)
        found |= low == high
    return found
