"""The published cells of a table and what is said of each: figures rounded for one profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.releases.blocks import Block
from gateway.releases.kernel import Ints, mixed, unmixed
from gateway.releases.sdc import COMPLEMENTARY, PUBLISHED
from gateway.releases.sdc.lattice import Flags
from gateway.releases.table import Table

Marks: TypeAlias = npt.NDArray[np.uint8]
OK, SUPPRESSED, HIDDEN, ROUNDED, ESTIMATED, CARRIED = b"oscrev"
FIGURES = (ROUNDED, OK, ESTIMATED, CARRIED)
"""Marks of what is published; `CARRIED` is a figure of an earlier release, not restated."""
ABSENT = 0  # the measure is not answered for cells of this shape


@dataclass(frozen=True)
class Figure:
    """One measure over the shown cells: whole numbers of 10**-scale, a mark each.

    Where `labels` are given the numbers are places in them.
    """

    values: Ints
    marks: Marks
    scale: int = 0
    labels: tuple[str, ...] = ()

    @property
    def open(self) -> npt.NDArray[np.bool_]:
        """Where a figure is published."""
        return np.isin(self.marks, FIGURES)


@dataclass(frozen=True)
class Shown:
    """Cells of a table that are published or complementarily hidden, for one profile."""

    table: Table
    cells: Ints  # places in the table, ascending
    marks: Marks  # of the cell as a whole

    @classmethod
    def of(cls, table: Table, flags: Flags) -> Shown:
        cells = np.flatnonzero((flags == PUBLISHED) | (flags == COMPLEMENTARY))
        marks = np.where(flags[cells] == PUBLISHED, ROUNDED, HIDDEN).astype(np.uint8)
        return cls(table, cells, marks)

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def bounds(self) -> Ints:
        """Where each block begins among the shown cells, one more at the end."""
        return np.searchsorted(self.cells, self.table.offset)

    @cached_property
    def by_block(self) -> tuple[tuple[Block, slice, Ints], ...]:
        """Each block with its place among the shown cells and which of its own they are."""
        found = []
        for i, block in enumerate(self.table.blocks):
            part = slice(int(self.bounds[i]), int(self.bounds[i + 1]))
            if part.stop > part.start:
                found.append((block, part, self.cells[part] - self.table.offset[i]))
        return tuple(found)

    def gather(self, read: Callable[[Block], npt.NDArray[np.generic] | None]) -> Ints:
        """One whole number per shown cell; 0 where the block has none."""
        values = np.zeros(len(self), np.int64)
        for block, part, own in self.by_block:
            held = read(block)
            if held is not None:
                values[part] = held[own]
        return values

    def where(self, applies: Callable[[Block], bool]) -> npt.NDArray[np.bool_]:
        """Shown cells of the blocks that pass a test."""
        found = np.zeros(len(self), np.bool_)
        for block, part, _ in self.by_block:
            found[part] = applies(block)
        return found

    @cached_property
    def _index(self) -> dict[tuple[int, int], tuple[slice, Ints]]:
        """For each shape and level: its part and the sorted keys of its shown cells."""
        return {
            (block.shape, block.level): (part, self.table.plan.keys(block)[own])
            for block, part, own in self.by_block
        }

    @cached_property
    def _shape_of(self) -> Mapping[tuple[str, ...], int]:
        return {shape.columns: i for i, shape in enumerate(self.table.plan.shapes)}

    def related(
        self,
        columns: Callable[[Sequence[str]], tuple[str, ...]],
        periods: Ints,
        digits: Mapping[str, int],
    ) -> Ints:
        """For each shown cell, the place of a related one: other columns, other period.

        `periods` gives the other period of each (-1 for none), `digits` the codes of columns that
        the cell itself does not have. -1 where no such cell is shown.
        """
        found = np.full(len(self), -1, np.int64)
        plan = self.table.plan
        for block, part, own in self.by_block:
            named = plan.shapes[block.shape].columns
            wanted = columns(named)
            key = (self._shape_of.get(wanted, -1), block.level)
            if key not in self._index:
                continue
            there, keys = self._index[key]
            held = dict(zip(named, unmixed(block.code[own], plan.sizes(named))[1:], strict=True))
            parts = [self._digit(column, held, digits, len(own)) for column in wanted]
            then = periods[block.period[own]]
            places = plan.places(plan.service.geo[block.level])
            sizes = [1, places, *plan.sizes(wanted)]
            code = mixed([then, block.geo[own], *parts], sizes, len(own))
            at = np.minimum(np.searchsorted(keys, code), len(keys) - 1)
            found[part] = np.where((keys[at] == code) & (then >= 0), there.start + at, -1)
        return found

    def _digit(
        self, column: str, held: Mapping[str, Ints], digits: Mapping[str, int], length: int
    ) -> Ints:
        """A cell's code of a column it names, is given, or that one of its columns rolls up to."""
        if column in held:
            return held[column]
        if column in digits:
            return np.full(length, digits[column], np.int64)
        domains = self.table.plan.domains
        finer = next(c for c in held if domains[c].coarser == column)
        return np.array(domains[finer].parents, np.int64)[held[finer]]
