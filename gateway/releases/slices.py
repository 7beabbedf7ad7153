"""One fact in some neighbouring periods at one geography level, merged as far as a shape allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from gateway.catalogue.model import GeoLevel
from gateway.releases.facts import Period, Window
from gateway.releases.kernel import Bools, Ints, Rows, Visits, collapse, mixed, unmixed, visits
from gateway.releases.plan import Plan

EXPOSURE = "exposure"
_BATCH = 400_000  # rows grouped at a time: bounds memory, and few enough to stay fast
_LEADING = {"person": ("person",), "maker": ("maker",), "sums": ()}


@dataclass(frozen=True)
class Crowd:
    """The persons of a slice, told apart by place and by some event dims.

    Nearly everybody has one value on every person dim: their visits are the same whichever of
    these a shape names, and `settled` has one row per visit. The rows of others are in `movers`,
    to be merged for each shape.
    """

    visits: Visits
    settled: Rows
    movers: Rows

    def parts(self, cells: Callable[[Rows], Ints]) -> tuple[Visits, Visits]:
        """All visits to the cells in which rows lie."""
        rows, cell = self.movers, cells(self.movers)
        person, inst = rows.keys["person"], rows.keys["inst"]
        order = np.lexsort((inst, person, cell))
        moved = visits(cell[order], person[order], inst[order], *rows.sums[:, order])
        return replace(self.visits, cell=cells(self.settled)), moved


class Slice:
    """Remembers its rows merged by event dims; a place is a period (slot) and a geography."""

    def __init__(self, plan: Plan, window: Window, level: GeoLevel, kept: Sequence[str]):
        self._plan = plan
        places = plan.places(level)
        rows = window.rows
        place = rows.keys["slot"] * places + rows.keys[level.level]
        self.window = replace(window, rows=Rows({**rows.keys, "place": place}, rows.sums))
        self._places = places * (int(rows.keys["slot"].max(initial=0)) + 1)
        self._kept = tuple(c for c in kept if c in window.fact.columns)
        self._merged: dict[tuple[str, tuple[str, ...]], Rows] = {}
        self._crowds: dict[tuple[str, ...], Crowd] = {}

    def merged(self, party: str, columns: Sequence[str]) -> Rows:
        """Rows merged to the person dims, the event dims of `columns` and, before them, `party`."""
        event = tuple(c for c in columns if c not in self._kept)
        if (party, event) not in self._merged:
            names = [*_LEADING[party], "place", *self._kept, *event]
            rows = self.window.rows
            lines = rows if party == "sums" else Rows(rows.keys, rows.sums[:2])
            self._merged[party, event] = collapse(lines, names, self._radix(rows, names))
        return self._merged[party, event]

    def crowd(self, columns: Sequence[str]) -> Crowd:
        """The persons and institutions, by place and the event dims of `columns`."""
        event = tuple(c for c in columns if c not in self._kept)
        if event not in self._crowds:
            names = ["place", *event, "person", *self._kept, "inst"]
            rows = self.window.rows
            rows = collapse(Rows(rows.keys, rows.sums[:2]), names, self._radix(rows, names))
            self._crowds[event] = self._split(rows, event)
        return self._crowds[event]

    def _split(self, rows: Rows, event: Sequence[str]) -> Crowd:
        moves = self._movers[rows.keys["person"]]
        own = rows.take(np.flatnonzero(~moves))
        names = ["place", *event]
        cell = mixed([own.keys[n] for n in names], self._radix(own, names), len(own))
        found = visits(cell, own.keys["person"], own.keys["inst"], *own.sums)
        settled = {n: own.keys[n][found.first] for n in (*names, *self._kept)}
        return Crowd(found, Rows(settled, found.by_visit), rows.take(np.flatnonzero(moves)))

    @cached_property
    def _movers(self) -> Bools:
        """By person: those with more than one value on a person dim."""
        rows = self.window.rows
        person = rows.keys["person"]
        found = np.zeros(int(person.max(initial=0)) + 1, np.bool_)
        for name in self._kept:
            own = rows.keys[name]
            one = np.zeros(len(found), own.dtype)
            one[person] = own
            found[person[own != one[person]]] = True
        return found

    def _radix(self, rows: Rows, names: Sequence[str]) -> list[int]:
        return [
            len(self._plan.domains[n])
            if n in self._plan.domains
            else int(rows.keys[n].max(initial=0)) + 1
            for n in names
        ]

    def cells(self, rows: Rows, columns: Sequence[str]) -> tuple[Ints, int]:
        """The cell each row lies in, place first, and how many codes of cells there are."""
        sizes = [self._places, *self._plan.sizes(columns)]
        code = mixed([rows.keys["place"], *(rows.keys[c] for c in columns)], sizes, len(rows))
        return code, self.size(columns)

    def size(self, columns: Sequence[str]) -> int:
        """How many codes of cells over `columns` there are."""
        return self._places * prod(self._plan.sizes(columns))


def slices(plan: Plan, span: range, level: GeoLevel) -> dict[str, Slice]:
    """Every fact of the plan in the periods of a span."""
    chosen = plan.periods[span.start : span.stop]
    person_dims = plan.facts[EXPOSURE].columns if EXPOSURE in plan.facts else ()
    return {
        name: Slice(plan, fact.window(chosen), level, person_dims)
        for name, fact in plan.facts.items()
    }


def spans(plan: Plan) -> list[range]:
    """Periods in batches of one grain: as many together as keep the rows of a batch few."""
    found: list[range] = []
    held = 0
    for i, period in enumerate(plan.periods):
        rows = max(_rows(fact.months, period) for fact in plan.facts.values())
        fresh = not found or plan.periods[found[-1].start].grain != period.grain
        if fresh or held + rows > _BATCH:
            found.append(range(i, i + 1))
            held = rows
        else:
            found[-1] = range(found[-1].start, i + 1)
            held += rows
    return found


def _rows(months: Ints, period: Period) -> int:
    first, last = np.searchsorted(months, [period.first, period.last + 1])
    return int(last - first)


def onto(plan: Plan, cells: Ints, columns: Sequence[str], known: Sequence[str]) -> Ints:
    """Codes of the cells over `known` alone that cells over `columns` lie in."""
    sizes = plan.sizes(columns)
    place, *rest = unmixed(cells, sizes)
    digits = dict(zip(columns, rest, strict=True))
    return mixed([place, *(digits[c] for c in known)], [1, *plan.sizes(known)], len(cells))
