"""Search published person counts for a subtraction that leaves a count of 1 … k−1.

Sees what a client sees. A cell less one that lies inside it, and a cell less two of its children
along one axis; rounding is no excuse, since a reader cannot tell a rounded rest from a true one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TypeAlias

import numpy as np

from gateway.catalogue.model import Grain
from gateway.releases.facts import city_of, label_of
from gateway.releases.listing import Listed
from gateway.releases.manifest import Manifest

Cell: TypeAlias = tuple[str, ...]
TOTAL = "*"


class Ladders:
    """For each axis and code, the code and everything above it."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._known: dict[tuple[int, str], tuple[str, ...]] = {}

    def of(self, axis: int, code: str) -> tuple[str, ...]:
        if (axis, code) not in self._known:
            up = _coarser(self._manifest, axis, code)
            above = () if up is None else self.of(axis, up)
            self._known[axis, code] = (code, *above)
        return self._known[axis, code]

    def above(self, cell: Cell) -> Iterator[Cell]:
        """Every cell that contains this one."""
        every = product(*(self.of(axis, code) for axis, code in enumerate(cell)))
        next(every)  # the cell itself comes first
        return every

    def steps(self, cell: Cell) -> Iterator[tuple[int, Cell]]:
        """The cells one step above, with the axis of the step."""
        for axis, code in enumerate(cell):
            ladder = self.of(axis, code)
            if len(ladder) > 1:
                yield axis, (*cell[:axis], ladder[1], *cell[axis + 1 :])


def subtractions(manifest: Manifest, rows: Iterable[Listed], k: int) -> Iterator[str]:
    """Each dangerous difference as a sentence without figures."""
    if manifest.person_measure is None:
        return
    figures, ladders = _figures(manifest, rows), Ladders(manifest)
    children: dict[tuple[int, Cell], list[Cell]] = {}
    for cell, count in figures.items():
        for upper in ladders.above(cell):
            if upper in figures and 0 < abs(figures[upper] - count) < k:
                yield f"{_text(upper)} less {_text(cell)}"
        for axis, upper in ladders.steps(cell):
            if upper in figures:
                children.setdefault((axis, upper), []).append(cell)
    for (_, upper), cells in children.items():
        yield from _pairs(figures, upper, cells, k)


def _figures(manifest: Manifest, rows: Iterable[Listed]) -> dict[Cell, int]:
    at = [measure.name for measure in manifest.measures].index(str(manifest.person_measure))
    roots = _roots(manifest)
    found = {}
    for row in rows:
        if row.marks[at] == "r":
            by_root = {roots[column]: f"{column}={value}" for column, value in row.values}
            dims = (by_root.get(root, TOTAL) for root in dict.fromkeys(roots.values()))
            count = row.figures[at]
            found[(f"{row.grain}={row.period}", row.geo, *dims)] = int(str(count))
    return found


def _roots(manifest: Manifest) -> dict[str, str]:
    """The coarsest column above each column: its axis."""

    def root(column: str) -> str:
        up = manifest.levels[column].coarser
        return column if up is None else root(up)

    return {column: root(column) for column in manifest.levels}


def _coarser(manifest: Manifest, axis: int, code: str) -> str | None:
    """The next coarser value on an axis of a cell; None where there is nothing above."""
    if axis == 0:
        grain, label = code.split("=")
        quarters = manifest.periods.get("quarter", ())
        wider = label_of(label, Grain.QUARTER) if grain == "month" else ""
        return f"quarter={wider}" if wider in quarters else None
    if axis == 1:
        city = city_of(code)
        return city if city != code and city in manifest.geo else None
    if code == TOTAL:
        return None
    column, value = code.split("=", 1)
    level = manifest.levels[column]
    if level.coarser is None:
        return TOTAL
    parent = level.parents[level.values.index(value)]
    return f"{level.coarser}={manifest.levels[level.coarser].values[parent]}"


def _pairs(figures: Mapping[Cell, int], upper: Cell, cells: list[Cell], k: int) -> Iterator[str]:
    counts = np.array([figures[cell] for cell in cells], np.int64)
    rest = np.abs(figures[upper] - counts[:, None] - counts[None, :])
    for i, j in np.argwhere(np.triu((rest > 0) & (rest < k), 1)):
        yield f"{_text(upper)} less {_text(cells[i])} and {_text(cells[j])}"


def _text(cell: Cell) -> str:
    return "/".join(code for code in cell if code != TOTAL)
