"""Every cell of a service's lattice with what protection must know of it; nothing of this leaves.

A cell with fewer persons than any profile publishes keeps its persons and amount alone: whatever
else is true of it, it is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.releases.blocks import Block, joined
from gateway.releases.busy import Busy
from gateway.releases.kernel import (
    Bools,
    Ints,
    Parties,
    People,
    Shares,
    Visits,
    counted,
    hosts,
    located,
    ordered,
    parties,
    people,
)
from gateway.releases.plan import Plan
from gateway.releases.shapes import Shape
from gateway.releases.slices import EXPOSURE, Slice, onto, slices, spans


class Grouping:
    """Groups neighbouring periods at one geography level into the blocks of every shape."""

    def __init__(self, plan: Plan, span: range, level: int, busy: Busy):
        self.plan, self.span, self.level, self.busy = plan, span, level, busy
        self.geo = plan.service.geo[level]
        self.slices = slices(plan, span, self.geo)
        self._insured: dict[tuple[str, ...], tuple[Ints, Ints]] = {}

    def blocks(self) -> Iterator[Block]:
        for number, shape in enumerate(self.plan.shapes):
            block = self._block(number, shape)
            if block is not None:
                yield block

    def _block(self, number: int, shape: Shape) -> Block | None:
        name = self.plan.fits[number].main
        if name is None:
            return None
        main = self.slices[name]
        size = main.size(shape.columns)
        parts = main.crowd(shape.columns).parts(lambda rows: main.cells(rows, shape.columns)[0])
        who = people(parts, size)
        if not len(who.cells):
            return None
        width = prod(self.plan.sizes(shape.columns))
        slot, geo = np.divmod(who.cells // width, self.plan.places(self.geo))
        where = (self.span.start + slot, geo, who.cells % width)
        # On persons alone: they are what is protected against subtraction, whatever hides a cell.
        enough = who.persons >= self.plan.least[0]
        held = self.busy.matters(shape, self.level, where, enough)
        if not held.any():
            return None
        at, length = np.flatnonzero(enough[held]), int(held.sum())
        return Block(
            shape=number,
            level=self.level,
            period=where[0][held],
            geo=where[1][held],
            code=where[2][held],
            persons=who.persons[held],
            magnitude=who.magnitude[held],
            top_person=who.top[held],
            **self._parties((main, shape), _crowded(parts, who, enough), at, length),
        )

    def _parties(
        self, of: tuple[Slice, Shape], crowd: _Crowd, at: Ints, length: int
    ) -> dict[str, Any]:  # fields of a block
        """Institutions, makers and insured persons of the crowded cells, at their places."""
        main, shape = of
        houses, hosted = hosts(
            crowd.parts, crowd.place, (len(crowd.cells), self.plan.n_institutions)
        )
        exposed = self._exposure(crowd.cells, shape)
        made = self._makers(main, shape, crowd.cells)
        _, inst, insured = self.plan.least
        open_ = (houses.parties >= inst) & (exposed >= insured)

        def out(values: npt.NDArray[Any]) -> npt.NDArray[Any]:  # of one kind, as given
            full = np.zeros(length, values.dtype)
            full[at] = values
            return full

        squares = {"hhi_institution": out(houses.squares)}
        if made is not None:
            squares["hhi_maker"] = out(made.squares)
        return {
            "institutions": out(houses.parties),
            "exposure": out(exposed),
            "top1": out(houses.top1),
            "top2": out(houses.top2),
            "makers": out(made.parties) if made else np.zeros(length, np.int64),
            "maker_top1": out(made.top1) if made else np.zeros(length, np.int64),
            "squares": squares,
            "shares": _placed(hosted, open_, at),
        }

    def _makers(self, main: Slice, shape: Shape, cells: Ints) -> Parties | None:
        if not set(self.plan.service.disclosure.makers_for) & set(shape.columns):
            return None
        rows = main.merged("maker", shape.columns)
        place = located(cells, *main.cells(rows, shape.columns))
        keep = place >= 0
        maker = rows.keys["maker"]
        many = int(maker.max(initial=0)) + 1
        counting, amount = rows.sums[0][keep], rows.sums[1][keep]
        return parties(place[keep], maker[keep], counting, amount, (len(cells), many))

    def _exposure(self, cells: Ints, shape: Shape) -> Ints:
        """Insured persons of each cell, on the dims that exposure has."""
        if EXPOSURE not in self.plan.facts:
            return np.zeros(len(cells), np.int64)
        known = tuple(c for c in shape.columns if c in self.plan.facts[EXPOSURE].columns)
        if known not in self._insured:
            source = self.slices[EXPOSURE]
            rows = source.merged("person", known)
            cell, order = ordered(*source.cells(rows, known))
            self._insured[known] = counted(cell, rows.keys["person"][order], rows.sums[0][order])
        there, persons = self._insured[known]
        return aligned(onto(self.plan, cells, shape.columns, known), there, persons)


@dataclass(frozen=True)
class _Crowd:
    """The cells with enough persons and the place among them of every visit, part by part.

    Visits to other cells have the place after the last.
    """

    cells: Ints
    parts: tuple[Visits, ...]
    place: tuple[Ints, ...]


def _crowded(parts: tuple[Visits, ...], who: People, enough: Bools) -> _Crowd:
    cells = who.cells[enough]
    number = np.where(enough, np.cumsum(enough) - 1, len(cells))
    return _Crowd(cells, parts, tuple(number[place] for place in who.place))


def _placed(hosted: Shares, open_: Bools, at: Ints) -> Shares:
    """Providers of the cells that may be published, by place in the block."""
    own = open_[hosted.cells]
    return Shares(at[hosted.cells[own]], hosted.party[own], hosted.persons[own], hosted.only[own])


def aligned(cells: Ints, there: Ints, values: Ints) -> Ints:
    """`values` of the cells `there` (ascending), at the places of `cells`; 0 where none is."""
    if not len(there):
        return np.zeros(len(cells), np.int64)
    at = np.minimum(np.searchsorted(there, cells), len(there) - 1)
    return np.where(there[at] == cells, values[at], 0)


def all_blocks(plan: Plan) -> list[Block]:
    """Every block of the lattice.

    Longer periods come before the shorter ones inside them, and cities before counties.
    """
    made: dict[tuple[int, int], list[Block]] = {}
    rounds = [(span, g) for span in spans(plan) for g in reversed(range(len(plan.service.geo)))]
    busy = Busy(plan)
    for span, level in reversed(rounds):
        for block in Grouping(plan, span, level, busy).blocks():
            made.setdefault((block.shape, block.level), []).append(block)
    return [joined(made[key][::-1]) for key in sorted(made)]
