"""Every cell of a service's lattice with its true figures; none of this leaves the builder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from gateway.catalogue.model import GeoLevel
from gateway.releases.blocks import Block, Records, joined
from gateway.releases.busy import Busy
from gateway.releases.facts import Window
from gateway.releases.kernel import (
    Ints,
    Parties,
    Rows,
    Shares,
    collapse,
    mixed,
    parties,
    people,
    shares,
    stable_order,
    unmixed,
)
from gateway.releases.plan import Plan
from gateway.releases.shapes import Shape, covering_fact, covers

EXPOSURE = "exposure"
_PARTIES: tuple[str, ...] = ("person", "inst", "maker")
_BATCH = 400_000  # rows grouped at a time: bounds memory, and few enough to stay fast


class Slice:
    """One fact in some periods at one geography level; remembers its rows merged by event dims.

    A cell's place is a period (slot) and a geography in one number.
    """

    def __init__(self, plan: Plan, window: Window, level: GeoLevel, kept: Sequence[str]):
        self._plan = plan
        places = plan.places(level)
        rows = window.rows
        place = rows.keys["slot"] * places + rows.keys[level.level]
        self._window = replace(window, rows=Rows({**rows.keys, "place": place}, rows.sums))
        self._places = places * (int(rows.keys["slot"].max(initial=0)) + 1)
        self._kept = tuple(c for c in kept if c in window.fact.columns)
        self._merged: dict[tuple[str, tuple[str, ...]], Rows] = {}

    def merged(self, party: str, columns: Sequence[str]) -> Rows:
        """Rows merged to the person dims, the event dims of `columns` and, before them, `party`."""
        event = tuple(c for c in columns if c not in self._kept)
        if (party, event) not in self._merged:
            leading = {"people": ("person", "inst"), "sums": ()}.get(party, (party,))
            names = [*leading, "place", *self._kept, *event]
            rows = self._window.rows
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

    def sorted_by_cell(self, party: str, columns: Sequence[str]) -> tuple[Ints, Rows]:
        """Cell codes (geo first) in order, and the rows in that order."""
        rows = self.merged(party, columns)
        cell, size = self._cells(rows, columns)
        order = stable_order(cell, size)
        keys: dict[str, Ints] = {n: rows.keys[n][order] for n in _PARTIES if n in rows.keys}
        return cell[order], Rows(keys, rows.sums[:, order])

    def _cells(self, rows: Rows, columns: Sequence[str]) -> tuple[Ints, int]:
        sizes = [self._places, *self._plan.sizes(columns)]
        code = mixed([rows.keys["place"], *(rows.keys[c] for c in columns)], sizes, len(rows))
        return code, prod(sizes)

    def summed(self, columns: Sequence[str]) -> tuple[Ints, Rows]:
        """One row per cell with every sum of the fact."""
        rows = self.merged("sums", columns)
        cell, size = self._cells(rows, columns)
        one = collapse(Rows({"cell": cell}, rows.sums), ["cell"], [size])
        return one.keys["cell"], one

    def parties(self, party: str, columns: Sequence[str]) -> Parties:
        cell, rows = self.sorted_by_cell(party, columns)
        return parties(cell, rows.keys[party], rows.sums[0], rows.sums[1])

    def records(self, column: str, columns: Sequence[str]) -> tuple[Ints, Records]:
        """Values by cell, ascending, of the rows that have one."""
        held = np.flatnonzero(self._window.present[column])
        rows = self._window.rows.take(held)
        values = self._window.records[column][held]
        cell, _ = self._cells(rows, columns)
        order = np.lexsort((values, cell))
        cells, starts = np.unique(cell[order], return_index=True)
        person = rows.keys["person"]
        crowd = int(person.max(initial=0)) + 1
        pairs = np.unique(cell * crowd + person) // crowd
        persons = np.searchsorted(pairs, cells, "right") - np.searchsorted(pairs, cells, "left")
        offsets = np.append(starts, len(values)).astype(np.int64)
        return cells, Records(values[order], offsets, persons.astype(np.int64))


class Grouping:
    """Groups neighbouring periods at one geography level into the blocks of every shape."""

    def __init__(self, plan: Plan, span: range, level: int, busy: Busy):
        self.plan, self.span, self.level, self.busy = plan, span, level, busy
        self.geo = plan.service.geo[level]
        grain = plan.periods[span.start].grain
        self.most = plan.service.max_dims_by_grain.get(grain, self.geo.max_dims)
        chosen = plan.periods[span.start : span.stop]
        person_dims = plan.facts[EXPOSURE].columns
        self.slices = {
            name: Slice(plan, fact.window(chosen), self.geo, person_dims)
            for name, fact in plan.facts.items()
        }
        self._exposed: dict[tuple[str, ...], tuple[Ints, Ints, Rows]] = {}

    def blocks(self) -> Iterator[Block]:
        for number, shape in enumerate(self.plan.shapes):
            if shape.n_dims <= min(self.geo.max_dims, self.most):
                block = self._block(number, shape)
                if block is not None:
                    yield block

    def _block(self, number: int, shape: Shape) -> Block | None:
        name = covering_fact(self.plan.service, shape.columns)
        if name is None or not len(self.slices[name].merged("people", shape.columns)):
            return None
        main = self.slices[name]
        cell, rows = main.sorted_by_cell("people", shape.columns)
        counting, amount = rows.sums
        who = people(cell, rows.keys["person"], counting, amount)
        houses = main.parties("inst", shape.columns)
        made = self._makers(main, shape)
        width = prod(self.plan.sizes(shape.columns))
        slot, geo = np.divmod(who.cells // width, self.plan.places(self.geo))
        period, code = self.span.start + slot, who.cells % width
        exposed, days = self._exposure(who.cells, shape)
        crowded = np.logical_and.reduce(
            [
                figure >= least
                for figure, least in zip(
                    (who.persons, houses.parties, exposed), self.plan.least, strict=True
                )
            ]
        )
        # On persons alone: they are what is protected against subtraction, whatever hides a cell.
        enough = who.persons >= self.plan.least[0]
        held = self.busy.matters(shape, self.level, (period, geo, code), enough)
        if not held.any():
            return None
        cells, exposed, days = who.cells[held], exposed[held], days[held]
        magnitude, sums = self._sums(cells, shape, days, name)
        squares = {"hhi_institution": houses.squares[held]}
        if made is not None:
            squares["hhi_maker"] = made.squares[held]
        nothing = np.zeros(len(cells), np.int64)
        return Block(
            number,
            self.level,
            period[held],
            geo[held],
            code[held],
            who.persons[held],
            houses.parties[held],
            exposed,
            magnitude,
            houses.top1[held],
            houses.top2[held],
            who.top[held],
            made.parties[held] if made else nothing,
            made.top1[held] if made else nothing,
            squares,
            sums,
            self._records(cells, shape),
            self._shares(cells, who.cells[crowded], cell, rows),
        )

    def _shares(self, cells: Ints, crowded: Ints, cell: Ints, rows: Rows) -> Shares:
        """Providers of the crowded cells, by place among `cells`."""
        at = np.minimum(np.searchsorted(crowded, cell), max(len(crowded) - 1, 0))
        keep = crowded[at] == cell if len(crowded) else np.zeros(len(cell), np.bool_)
        found = shares(
            cell[keep],
            rows.keys["person"][keep],
            rows.keys["inst"][keep],
            rows.sums[0][keep],
            self.plan.n_institutions,
        )
        place = np.searchsorted(cells, found.cells).astype(np.int64)
        return Shares(place, found.party, found.persons, found.only)

    def _makers(self, main: Slice, shape: Shape) -> Parties | None:
        wanted = set(self.plan.service.disclosure.makers_for) & set(shape.columns)
        return main.parties("maker", shape.columns) if wanted else None

    def _exposure(self, cells: Ints, shape: Shape) -> tuple[Ints, Ints]:
        """Insured persons and days of each cell, on the dims that exposure has."""
        known = tuple(c for c in shape.columns if c in self.plan.facts[EXPOSURE].columns)
        if known not in self._exposed:
            source = self.slices[EXPOSURE]
            cell, rows = source.sorted_by_cell("person", known)
            who = people(cell, rows.keys["person"], rows.sums[0], rows.sums[1])
            self._exposed[known] = (who.cells, who.persons, source.summed(known)[1])
        there, persons, sums = self._exposed[known]
        wanted = self._project(cells, shape.columns, known)
        days = self.plan.facts[EXPOSURE].sums
        amount = sums.sums[2 + days.index("days")] if "days" in days else sums.sums[1]
        return _aligned(wanted, there, persons), _aligned(wanted, there, amount)

    def _project(self, cells: Ints, columns: Sequence[str], onto: Sequence[str]) -> Ints:
        sizes = self.plan.sizes(columns)
        parts = dict(zip(columns, unmixed(cells, sizes)[1:], strict=True))
        geo = cells // prod(sizes)
        return mixed([geo, *(parts[c] for c in onto)], [1, *self.plan.sizes(onto)], len(cells))

    def _sums(
        self, cells: Ints, shape: Shape, days: Ints, main: str
    ) -> tuple[Ints, dict[tuple[str, str], Ints]]:
        """Net magnitude and every sum of the facts that can tell these cells apart."""
        found: dict[tuple[str, str], Ints] = {(EXPOSURE, "days"): days}
        magnitude = np.zeros(len(cells), np.int64)
        for name, fact in self.plan.facts.items():
            spec = self.plan.service.facts[name]
            if name == EXPOSURE or not covers(self.plan.service, spec, shape.columns):
                continue
            there, rows = self.slices[name].summed(shape.columns)
            for line, column in enumerate(fact.sums):
                found[name, column] = _aligned(cells, there, rows.sums[2 + line])
            if name == main:
                magnitude = _aligned(cells, there, rows.sums[1])
        return magnitude, found

    def _records(self, cells: Ints, shape: Shape) -> dict[tuple[str, str], Records]:
        found = {}
        for name, fact in self.plan.facts.items():
            spec = self.plan.service.facts[name]
            if fact.records and covers(self.plan.service, spec, shape.columns):
                for column in fact.records:
                    there, records = self.slices[name].records(column, shape.columns)
                    found[name, column] = _fit(cells, there, records)
        return found


def _aligned(cells: Ints, there: Ints, values: Ints) -> Ints:
    """`values` of the cells `there`, at the places of `cells`; 0 where there is none."""
    if not len(there):
        return np.zeros(len(cells), np.int64)
    at = np.minimum(np.searchsorted(there, cells), len(there) - 1)
    return np.where(there[at] == cells, values[at], 0)


def _fit(cells: Ints, there: Ints, records: Records) -> Records:
    """Records cut to the cells asked for, in their order; empty where there are none."""
    counts = _aligned(cells, there, np.diff(records.starts))
    begin = _aligned(cells, there, records.starts[:-1])
    starts = np.append(0, np.cumsum(counts)).astype(np.int64)
    index = np.arange(starts[-1]) - np.repeat(starts[:-1] - begin, counts)
    return Records(records.values[index], starts, _aligned(cells, there, records.persons))


def spans(plan: Plan) -> list[range]:
    """Periods in batches of one grain: as many together as keep the rows of a batch few."""
    found: list[range] = []
    held = 0
    for i, period in enumerate(plan.periods):
        rows = max(
            int(np.subtract(*np.searchsorted(f.months, [period.last + 1, period.first])))
            for f in plan.facts.values()
        )
        fresh = not found or plan.periods[found[-1].start].grain != period.grain
        if fresh or held + rows > _BATCH:
            found.append(range(i, i + 1))
            held = rows
        else:
            found[-1] = range(found[-1].start, i + 1)
            held += rows
    return found


def all_blocks(plan: Plan, progress: Callable[[float], None]) -> list[Block]:
    """Every block of the lattice; `progress` is told the share done."""
    parts: dict[tuple[int, int], list[Block]] = {}
    rounds = [(span, g) for span in spans(plan) for g in reversed(range(len(plan.service.geo)))]
    busy = Busy(plan)
    for done, (span, level) in enumerate(reversed(rounds)):
        for block in Grouping(plan, span, level, busy).blocks():
            parts.setdefault((block.shape, block.level), []).append(block)
        progress((done + 1) / len(rounds))
    return [joined(parts[key][::-1]) for key in sorted(parts)]
