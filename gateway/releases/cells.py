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
    located,
    ordered,
    parties,
    people,
    shares,
)
from gateway.releases.plan import Plan
from gateway.releases.shapes import Shape
from gateway.releases.slices import EXPOSURE, Slice, onto, slices, spans


@dataclass(frozen=True)
class _Crowd:
    """The rows of the cells with enough persons: `place` is a row's cell among these cells."""

    cells: Ints
    place: Ints
    inst: Ints
    counting: Ints
    amount: Ints
    lead: Bools


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
        rows = main.merged("people", shape.columns)
        if not len(rows):
            return None
        cell, order = ordered(*main.cells(rows, shape.columns))
        counting, amount = rows.sums[0][order], rows.sums[1][order]
        who = people(cell, rows.keys["person"][order], counting, amount)
        width = prod(self.plan.sizes(shape.columns))
        slot, geo = np.divmod(who.cells // width, self.plan.places(self.geo))
        where = (self.span.start + slot, geo, who.cells % width)
        # On persons alone: they are what is protected against subtraction, whatever hides a cell.
        enough = who.persons >= self.plan.least[0]
        held = self.busy.matters(shape, self.level, where, enough)
        if not held.any():
            return None
        crowd = _crowd(who, enough, rows.keys["inst"][order], (counting, amount))
        return Block(
            shape=number,
            level=self.level,
            period=where[0][held],
            geo=where[1][held],
            code=where[2][held],
            persons=who.persons[held],
            magnitude=who.magnitude[held],
            top_person=who.top[held],
            **self._parties(main, shape, crowd, np.flatnonzero(enough[held]), int(held.sum())),
        )

    def _parties(
        self, main: Slice, shape: Shape, crowd: _Crowd, at: Ints, length: int
    ) -> dict[str, Any]:  # fields of a block
        """Institutions, makers and insured persons of the crowded cells, at their places."""
        shape_of = (len(crowd.cells), self.plan.n_institutions)
        houses = parties(crowd.place, crowd.inst, crowd.counting, crowd.amount, shape_of)
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
            "shares": self._shares(crowd, open_, at),
        }

    def _shares(self, crowd: _Crowd, open_: Bools, at: Ints) -> Shares:
        """Providers of the cells that may be published, by place in the block."""
        chosen = np.flatnonzero(open_)
        number = np.full(len(open_), -1, np.int64)
        number[chosen] = np.arange(len(chosen))
        place = number[crowd.place]
        keep = place >= 0
        found = shares(
            place[keep],
            crowd.lead[keep],
            crowd.inst[keep],
            crowd.counting[keep],
            (len(chosen), self.plan.n_institutions),
        )
        return Shares(at[chosen][found.cells], found.party, found.persons, found.only)

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
        known = tuple(c for c in shape.columns if c in self.plan.facts[EXPOSURE].columns)
        if known not in self._insured:
            source = self.slices[EXPOSURE]
            rows = source.merged("person", known)
            cell, order = ordered(*source.cells(rows, known))
            who = people(cell, rows.keys["person"][order], rows.sums[0][order], rows.sums[1][order])
            self._insured[known] = (who.cells, who.persons)
        there, persons = self._insured[known]
        return aligned(onto(self.plan, cells, shape.columns, known), there, persons)


def _crowd(who: People, enough: Bools, inst: Ints, sums: tuple[Ints, Ints]) -> _Crowd:
    number = np.where(enough, np.cumsum(enough) - 1, -1)
    place = number[who.cell_of]
    keep = place >= 0
    counting, amount = sums
    return _Crowd(
        cells=who.cells[enough],
        place=place[keep],
        inst=inst[keep],
        counting=counting[keep],
        amount=amount[keep],
        lead=who.lead[keep],
    )


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
