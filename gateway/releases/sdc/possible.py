"""The cells of a table as a reader lays them out: those with records, and those nobody sees empty.

Below a cell that may be published lie all cells that its axes name. Which of them are empty is not
told (SPEC 4.3.8), so in a sum each is an unknown like any hidden cell. Only what the contract calls
impossible is known to hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from gateway.releases.sdc.lattice import Axis, Bools, Ints, Lattice, ragged

Zeros: TypeAlias = Sequence[Sequence[tuple[int, Bools]]]
"""Impossible combinations: in each, some axes and which of their codes are meant."""


@dataclass(frozen=True)
class Families:
    """Cells with all of their parts one step below on an axis, as far as the layout has them.

    Cells are numbered by `key`, in ascending order. `whole` families lack no possible part.
    """

    key: Ints
    parent: Ints
    edge_family: Ints
    edge_child: Ints
    whole: Bools


@dataclass(frozen=True)
class Layout:
    """A lattice with what the cells of each shape count (`kind`) and what is impossible in it."""

    lattice: Lattice
    kind: Ints
    zeros: Zeros

    def families(self, open_: Bools) -> Families:
        """All cells that may be published, all one step below one, and the sums among these."""
        index = self.lattice.index
        above = np.flatnonzero(open_)
        below = [self._stepped(index.key[above], axis)[1] for axis in self._axes]
        keys = np.unique(np.concatenate([index.key[above], *below]))
        parts = [self._among(keys, axis) for axis in self._axes]
        at = np.cumsum([0, *(part.parent.size for part in parts)])
        return Families(
            keys,
            np.concatenate([part.parent for part in parts]),
            np.concatenate([part.edge_family + n for part, n in zip(parts, at, strict=False)]),
            np.concatenate([part.edge_child for part in parts]),
            np.concatenate([part.whole for part in parts]),
        )

    @property
    def _axes(self) -> range:
        return range(len(self.lattice.axes))

    def _among(self, keys: Ints, axis: int) -> Families:
        """The families along one axis, of cells that have a part among these."""
        move = self._up[axis]
        code = self._codes(keys)[:, axis]
        child = np.flatnonzero(move[code] != 0)
        above = keys[child] + move[code[child]]
        at = np.minimum(np.searchsorted(keys, above), max(0, keys.size - 1))
        child, at = child[keys[at] == above], at[keys[at] == above]
        alike = self._kinds(keys[child]) == self._kinds(keys[at])
        child, at = child[alike], at[alike]
        parent, family = np.unique(at, return_inverse=True)
        family = family.reshape(-1)
        of, _ = self._stepped(keys[parent], axis)
        possible = np.bincount(of, minlength=parent.size)
        held = np.bincount(family, minlength=parent.size)
        order = np.argsort(family, kind="stable")
        return Families(keys, parent, family[order], child[order], held >= possible)

    def _stepped(self, keys: Ints, axis: int) -> tuple[Ints, Ints]:
        """(position of a cell, key) for every possible part of the cells on an axis."""
        starts, below = _children(self.lattice.axes[axis])
        code = self._codes(keys)[:, axis]
        position, of = ragged(starts, code)
        down = below[position]
        found = keys[of] + (down - code[of]) * self.lattice.index.strides[axis]
        real = self._kinds(found) >= 0
        for rows in _chunks(found.size):
            real[rows] &= ~self._impossible(self._codes(found[rows]))
        real &= self._kinds(found) == self._kinds(keys)[of]
        return of[real], found[real]

    def _codes(self, keys: Ints) -> Ints:
        radix = np.array([axis.size + 1 for axis in self.lattice.axes], np.int64)
        codes: Ints = keys[:, None] // self.lattice.index.strides % radix
        return codes

    def _kinds(self, keys: Ints) -> Ints:
        """What the shape of each cell counts; -1 where no cell of the table has that shape."""
        known, kind = self._shapes
        shape = self._shape_of(self._codes(keys))
        at = np.minimum(np.searchsorted(known, shape), known.size - 1)
        found: Ints = np.where(known[at] == shape, kind[at], -1)
        return found

    @cached_property
    def _shapes(self) -> tuple[Ints, Ints]:
        """The shapes that cells of the table have, and what they count."""
        shape = self._shape_of(self.lattice.codes.astype(np.int64))
        known, first = np.unique(shape, return_index=True)
        return known, self.kind[first]

    def _shape_of(self, codes: Ints) -> Ints:
        shape = np.zeros(len(codes), np.int64)
        for axis, level in enumerate(self._levels):
            shape = shape * (int(level.max(initial=0)) + 1) + level[codes[:, axis]]
        return shape

    @cached_property
    def _levels(self) -> list[Ints]:
        return [_level(axis) for axis in self.lattice.axes]

    @cached_property
    def _up(self) -> list[Ints]:
        """By axis and code, what a key changes by on the way one step up; 0 where none leads."""
        strides = self.lattice.index.strides
        return [
            np.where(a.parent >= 0, a.parent - np.arange(a.size + 1), 0) * strides[i]
            for i, a in enumerate(self.lattice.axes)
        ]

    def _impossible(self, codes: Ints) -> Bools:
        found = np.zeros(len(codes), np.bool_)
        for rule in self.zeros:
            holds = np.ones(len(codes), np.bool_)
            for axis, meant in rule:
                holds &= meant[codes[:, axis]]
            found |= holds
        return found


def _level(axis: Axis) -> Ints:
    """Steps from each code up to where its axis ends."""
    level, code = np.zeros(axis.size + 1, np.int64), axis.parent.astype(np.int64)
    while (code >= 0).any():
        level += code >= 0
        code = np.where(code >= 0, axis.parent[np.maximum(code, 0)], -1)
    return level


def _children(axis: Axis) -> tuple[Ints, Ints]:
    """Where the codes one step below each code begin, and these codes."""
    order = np.argsort(axis.parent, kind="stable").astype(np.int64)
    return np.searchsorted(axis.parent[order], np.arange(axis.size + 2)).astype(np.int64), order


def _chunks(size: int, step: int = 1_000_000) -> Iterator[slice]:
    return (slice(at, at + step) for at in range(0, size, step))
