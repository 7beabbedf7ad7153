"""One fact in some neighbouring periods at one geography level, merged as far as a shape allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from gateway.catalogue.model import GeoLevel
from gateway.releases.facts import Period, Window
from gateway.releases.kernel import Ints, Rows, collapse, mixed, unmixed
from gateway.releases.plan import Plan

EXPOSURE = "exposure"
_BATCH = 400_000  # rows grouped at a time: bounds memory, and few enough to stay fast
_LEADING = {"people": ("person", "inst"), "person": ("person",), "maker": ("maker",), "sums": ()}


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

    def merged(self, party: str, columns: Sequence[str]) -> Rows:
        """Rows merged to the person dims, the event dims of `columns` and, before them, `party`."""
        event = tuple(c for c in columns if c not in self._kept)
        if (party, event) not in self._merged:
            names = [*_LEADING[party], "place", *self._kept, *event]
            rows = self.window.rows
            lines = rows if party == "sums" else Rows(rows.keys, rows.sums[:2])
            self._merged[party, event] = collapse(lines, names, self._radix(rows, names))
        return self._merged[party, event]

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
        return code, prod(sizes)


def slices(plan: Plan, span: range, level: GeoLevel) -> dict[str, Slice]:
    """Every fact of the plan in the periods of a span."""
    chosen = plan.periods[span.start : span.stop]
    person_dims = plan.facts[EXPOSURE].columns
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
