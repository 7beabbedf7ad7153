"""The lattice of cells of one release table, and the additive groups an attacker can subtract in.

A cell has one code per axis, 0 meaning total. A group is a published parent cell and all its
children along one axis: parent = Σ children holds for every record-based figure, and for person
counts where each person has one value on that axis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.errors import OperatorError

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.uint8]
Figures: TypeAlias = NDArray[Any]  # counts or shares, whatever number type the query engine gave

PUBLISHED, PRIMARY, COMPLEMENTARY = 0, 1, 2
NO_TOTAL = -1
_FEW = 512  # where so small a part of all ids is given, sorting these is faster than a table


class LatticeError(OperatorError):
    """The cells handed over do not form a lattice."""


@dataclass(frozen=True)
class Axis:
    """One dimension with its roll-up.

    `parent[code]` is the next coarser code, 0 the total, -1 none. `additive_persons` says that a
    person has one value on this axis within a period.
    """

    name: str
    size: int
    parent: NDArray[np.int32]
    additive_persons: bool


@dataclass(frozen=True)
class Lattice:
    """Cells by their codes, one row per cell and one column per axis, in any order."""

    axes: tuple[Axis, ...]
    codes: NDArray[np.int32]
    _groups: dict[bytes, Groups] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.shape[1] != len(self.axes):
            raise _broken("needs one code per axis and cell")
        for column, axis in enumerate(self.axes):
            _check_axis(axis, self.codes[:, column])

    def __len__(self) -> int:
        return int(self.codes.shape[0])

    def groups(self, present: Bools) -> Groups:
        """`groups_of` the cells that hold records; made once for each set of these."""
        which = np.packbits(present).tobytes()
        if which not in self._groups:
            self._groups[which] = groups_of(self.index, present)
        return self._groups[which]

    @cached_property
    def index(self) -> CellIndex:
        """The cells by key; made once, since every question about the lattice needs it."""
        return CellIndex.of(self)


@dataclass(frozen=True)
class CellFacts:
    """What the primary rules look at, one entry per cell; never published.

    `sensitive` cells are hidden outright. `fraction_of` is the number of persons of the denominator
    where the cell is the numerator of a sensitive fraction, 0 elsewhere.
    """

    persons: Figures
    institutions: Figures
    exposure: Figures
    magnitude: Figures
    top1_share: Figures
    top2_share: Figures
    top_person_share: Figures
    makers: Figures | None
    maker_top1_share: Figures | None
    sensitive: Bools
    needs_makers: Bools
    fraction_of: Figures | None = None


@dataclass(frozen=True)
class Groups:
    """Additive groups of a lattice: `parent[g]`, `axis[g]`, and one (group, child) pair per edge,
    edges sorted by group, then child. Cells without records are left out: they protect nothing."""

    parent: Ints
    axis: Ints
    edge_group: Ints
    edge_child: Ints


@dataclass(frozen=True)
class CellIndex:
    """Cells by mixed-radix key: finds a cell's ancestors without touching a row twice."""

    lattice: Lattice
    key: Ints
    strides: Ints
    order: Ints
    sorted_key: Ints

    @classmethod
    def of(cls, lattice: Lattice) -> CellIndex:
        radix = [axis.size + 1 for axis in lattice.axes]
        strides = np.ones(len(radix), np.int64)
        room = 1
        for column in range(len(radix) - 1, -1, -1):
            strides[column] = room
            room *= radix[column]
        if room >= 2**62:
            raise _broken("has too many possible cells for one table; split it by period")
        key = lattice.codes.astype(np.int64) @ strides if len(lattice) else np.zeros(0, np.int64)
        order = np.argsort(key, kind="stable")
        sorted_key = key[order]
        if (np.diff(sorted_key) == 0).any():
            raise _broken("has a cell twice")
        return cls(lattice, key, strides, order, sorted_key)

    def find(self, keys: Ints) -> Ints:
        """Cell index per key, -1 where the lattice has no such cell."""
        if not self.sorted_key.size:
            return np.full(keys.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(self.sorted_key, keys), self.sorted_key.size - 1)
        return np.where(self.sorted_key[at] == keys, self.order[at], -1)

    def parents(self, column: int, cells: Ints) -> Ints:
        """Nearest cell of the lattice above each cell along one axis, -1 where there is none."""
        axis = self.lattice.axes[column]
        codes = self.lattice.codes[cells, column].astype(np.int64)
        above = np.full(cells.size, -1, np.int64)
        climbing, code = np.flatnonzero(codes > 0), codes[codes > 0]
        while climbing.size:
            code = axis.parent[code].astype(np.int64)
            climbing, code = climbing[code != NO_TOTAL], code[code != NO_TOTAL]
            move = (code - codes[climbing]) * self.strides[column]
            above[climbing] = self.find(self.key[cells[climbing]] + move)
            keep = (above[climbing] < 0) & (code > 0)
            climbing, code = climbing[keep], code[keep]
        return above


def groups_of(index: CellIndex, present: Bools) -> Groups:
    """All additive groups among the cells that hold records."""
    cells = np.flatnonzero(present)
    count = max(1, len(index.lattice))
    parents, axes, children, owners, groups = [], [], [], [], 0
    for column in range(len(index.lattice.axes)):
        above = index.parents(column, cells)
        found = above >= 0
        # Parent and child as one number: NumPy sorts numbers much faster than positions.
        edges = np.sort(above[found] * count + cells[found])
        parent, child = np.divmod(edges, count)
        first = np.diff(parent, prepend=-1) != 0
        parents.append(parent[first])
        axes.append(np.full(int(first.sum()), column, np.int64))
        children.append(child)
        owners.append(np.cumsum(first) - 1 + groups)
        groups += parents[-1].size
    return Groups(_join(parents), _join(axes), _join(owners), _join(children))


def distinct(ids: Ints, count: int) -> Ints:
    """The different ids, ascending; all are below `count`."""
    if ids.size < count // _FEW:
        return np.unique(ids)
    seen = np.zeros(count, np.bool_)
    seen[ids] = True
    return np.flatnonzero(seen)


def starts_of(sorted_ids: Ints, count: int) -> Ints:
    """Offsets (one more than `count`) of each id in a sorted array of ids."""
    return np.searchsorted(sorted_ids, np.arange(count + 1)).astype(np.int64)


def ragged(starts: Ints, chosen: Ints) -> tuple[Ints, Ints]:
    """Positions inside the chosen ranges and, for each, which of the chosen it belongs to."""
    lengths = starts[chosen + 1] - starts[chosen]
    owner = np.repeat(np.arange(chosen.size), lengths)
    before = np.cumsum(lengths) - lengths
    return np.arange(owner.size) + np.repeat(starts[chosen] - before, lengths), owner


def _join(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _check_axis(axis: Axis, codes: NDArray[np.int32]) -> None:
    if axis.parent.shape != (axis.size + 1,):
        raise _broken(f"axis '{axis.name}' needs one parent per code and the total")
    if codes.size and (codes.min() < 0 or codes.max() > axis.size):
        raise _broken(f"axis '{axis.name}' has a code outside its list")
    climbed = np.arange(axis.size + 1)
    for _ in range(axis.size + 1):
        climbed = np.where(climbed > 0, axis.parent[np.maximum(climbed, 0)], climbed)
        if (climbed <= 0).all():
            return
    raise _broken(f"axis '{axis.name}' has a roll-up that never ends")


def _broken(what: str) -> LatticeError:
    return LatticeError("sdc_lattice", f"The lattice {what}.", f"统计立方体结构有误：{what}。")
