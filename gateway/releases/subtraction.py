"""Search published person counts for a subtraction that leaves a count of 1 … k−1.

Sees what a client sees, in one release or in those of two services whose persons nest. A cell less
one that lies inside it, and a cell less two of its children along one axis; rounding is no excuse,
since a reader cannot tell a rounded rest from a true one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np

from gateway.catalogue.model import Grain, Service
from gateway.releases.across import TOTAL, Labelled, Nest, axis_of, rests_of
from gateway.releases.facts import city_of, label_of
from gateway.releases.kernel import Ints
from gateway.releases.listing import Listed
from gateway.releases.manifest import Manifest
from gateway.releases.sdc import Lattice

Cell: TypeAlias = tuple[str, ...]


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


@dataclass(frozen=True)
class Published:
    """The person counts one profile publishes of a service, and the fewest it may show."""

    table: Labelled
    persons: Ints
    least: int

    @classmethod
    def of(cls, manifest: Manifest, rows: Iterable[Listed], least: int) -> Published:
        figures = _figures(manifest, rows)
        words = _words(manifest)
        places = [{word: code for code, word in enumerate(axis)} for axis in words]
        codes = np.array(
            [[place[w] for place, w in zip(places, cell, strict=True)] for cell in figures],
            np.int32,
        ).reshape(len(figures), len(words))
        axes = tuple(
            axis_of(name, [_place(manifest, i, word, places[i]) for word in words[i][1:]])
            for i, name in enumerate(_names(manifest))
        )
        counts = np.fromiter(figures.values(), np.int64, len(figures))
        return cls(Labelled(Lattice(axes, codes), words), counts, least)


def between(
    nest: Nest, services: Mapping[str, Service], outer: Published, inner: Published
) -> Iterator[str]:
    """Each dangerous difference of two services' figures as a sentence without figures."""
    figures = [(side.persons, np.ones(side.persons.size, np.bool_)) for side in (outer, inner)]
    least = max(outer.least, inner.least)
    rests = rests_of(nest, services, (outer.table, inner.table), figures, least)
    for upper, lower, second, beside in zip(
        rests.outer.tolist(), rests.inner.tolist(), rests.second.tolist(), rests.beside.tolist(),
        strict=True,
    ):  # fmt: skip
        third, where = (outer, nest.outer) if beside else (inner, nest.inner)
        more = f" and {where} {third.table.text(second)}" if second >= 0 else ""
        yield (
            f"{nest.outer} {outer.table.text(upper)} less {nest.inner} "
            f"{inner.table.text(lower)}{more}"
        )


def _names(manifest: Manifest) -> tuple[str, ...]:
    return ("period", "geo", *dict.fromkeys(_roots(manifest).values()))


def _words(manifest: Manifest) -> tuple[tuple[str, ...], ...]:
    """The words of each axis's codes, the total first."""
    roots = _roots(manifest)
    periods = (TOTAL, *(f"{grain}={label}" for grain, label in manifest.blocks))
    found = [periods, (TOTAL, *manifest.geo)]
    for root in dict.fromkeys(roots.values()):
        columns = [column for column in roots if roots[column] == root]
        values = (f"{c}={value}" for c in columns for value in manifest.levels[c].values)
        found.append((TOTAL, *values))
    return tuple(found)


def _place(manifest: Manifest, axis: int, word: str, places: Mapping[str, int]) -> int:
    """The code one step above a word; -1 where nothing published lies there."""
    up = _coarser(manifest, axis, word)
    return -1 if up is None else places[up]


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
