"""The figures an earlier release shows, shown again where a cell is not restated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.releases.kernel import Bools, Ints
from gateway.releases.sdc import COMPLEMENTARY, PUBLISHED
from gateway.releases.sdc.lattice import Flags
from gateway.releases.shown import ABSENT, CARRIED, FIGURES, SUPPRESSED, Figure

_OPEN = tuple(chr(mark) for mark in FIGURES)


@dataclass(frozen=True)
class Carried:
    """What an earlier release shows of some cells, one entry per cell: `row` is the line of its
    file, -1 where the cell is not among them or was not shown."""

    rows: OldRows | None
    held: Bools  # cells that are not restated
    row: Ints

    def of(self, cells: Ints) -> Carried:
        """The same of some cells."""
        return replace(self, held=self.held[cells], row=self.row[cells])

    @property
    def shown(self) -> Bools:
        """Which cells are shown as they were."""
        found: Bools = self.held & (self.row >= 0)
        return found

    def pattern(self, flags: Flags) -> Flags:
        """A pattern with the cells that are not restated shown or hidden as they were."""
        closed = np.where(flags == PUBLISHED, COMPLEMENTARY, flags)
        as_were = np.where(self.shown, PUBLISHED, closed)
        return np.where(self.held, as_were, flags).astype(np.uint8)

    def over(self, name: str, figure: Figure) -> Figure:
        """The figures of a measure, those of cells not restated replaced by the earlier ones."""
        own = np.flatnonzero(self.held & (figure.marks != ABSENT))
        values, marks = figure.values.copy(), figure.marks.copy()
        values[own], marks[own] = 0, np.where(figure.open[own], SUPPRESSED, marks[own])
        if self.rows is None:
            return replace(figure, values=values, marks=marks)
        for at in own[self.row[own] >= 0].tolist():
            told = self.rows.number(name, int(self.row[at]), figure)
            if told is not None:
                values[at], marks[at] = told, CARRIED
        return replace(figure, values=values, marks=marks)


@dataclass(frozen=True)
class OldRows:
    """Rows of one profile of an earlier release that a plan has cells for, by their address."""

    block: Ints
    cell: Ints
    names: Mapping[str, int]
    marks: Sequence[str]
    values: Sequence[tuple[object, ...]]

    @property
    def open(self) -> Bools:
        """Rows with any figure."""
        return np.array([any(m in _OPEN for m in marks) for marks in self.marks], np.bool_)

    def find(self, block: Ints, cell: Ints) -> Ints:
        """The open row of each address; -1 where there is none."""
        open_ = np.flatnonzero(self.open)
        if not open_.size:
            return np.full(block.size, -1, np.int64)
        width = 1 + max(int(cell.max(initial=0)), int(self.cell.max()))
        keys = self.block[open_] * width + self.cell[open_]
        order = np.argsort(keys)
        wanted = block * width + cell
        at = np.minimum(np.searchsorted(keys, wanted, sorter=order), order.size - 1)
        found: Ints = np.where(keys[order[at]] == wanted, open_[order[at]], -1)
        return found

    def number(self, name: str, row: int, like: Figure) -> int | None:
        """A figure as a measure keeps it; None where none was published."""
        at = self.names.get(name)
        if at is None or self.marks[row][at] not in _OPEN:
            return None
        value = self.values[row][at]
        if like.labels:
            return like.labels.index(str(value)) if str(value) in like.labels else None
        return round(float(str(value)) * float(10**like.scale))
