"""The sums and records of cells that are published: made last, for these cells alone."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import TypeAlias

import numpy as np

from gateway.releases.blocks import Block, Records
from gateway.releases.cells import aligned
from gateway.releases.kernel import Bools, Ints, changes, located, totals
from gateway.releases.plan import Plan
from gateway.releases.shapes import Columns
from gateway.releases.slices import EXPOSURE, Slice, onto, slices, spans
from gateway.releases.table import Table

Column: TypeAlias = tuple[str, str]  # fact and column


def filled(table: Table, kept: Bools, open_: Bools) -> Table:
    """The table cut to the cells kept, those that are open with every sum and record."""
    filler, blocks = _Filler(table.plan), []
    for block, (first, last) in zip(table.blocks, pairwise(table.offset), strict=True):
        own = np.flatnonzero(kept[first:last])
        if len(own):
            blocks.append(filler.fill(block.only(own), open_[first:last][own]))
    return Table.of(table.plan, blocks)


class _Filler:
    """Remembers the merged rows of every span and level, which serve many shapes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._spans = spans(plan)
        self._sources: dict[tuple[int, int], _Sums] = {}

    def fill(self, block: Block, open_: Bools) -> Block:
        sums: dict[Column, Ints] = {}
        parts: dict[Column, list[tuple[Ints, Records]]] = {}
        for number, span in enumerate(self._spans):
            inside = (block.period >= span.start) & (block.period < span.stop)
            at = np.flatnonzero(open_ & inside)
            if not len(at):
                continue
            if (number, block.level) not in self._sources:
                self._sources[number, block.level] = _Sums(self._plan, span, block.level)
            source = self._sources[number, block.level]
            cells, columns = source.numbered(block, at)
            facts = self._plan.fits[block.shape].facts
            for column, values in source.sums(cells, columns, facts).items():
                sums.setdefault(column, np.zeros(len(block), np.int64))[at] = values
            for column, records in source.records(cells, columns, facts).items():
                parts.setdefault(column, []).append((at, records))
        return replace(
            block, sums=sums, records={c: _placed(p, len(block)) for c, p in parts.items()}
        )


class _Sums:
    """One span of periods at one geography level."""

    def __init__(self, plan: Plan, span: range, level: int) -> None:
        self._plan, self._span = plan, span
        self._places = plan.places(plan.service.geo[level])
        self._slices = slices(plan, span, plan.service.geo[level])
        self._people: dict[tuple[str, ...], tuple[Ints, dict[str, Ints]]] = {}

    def numbered(self, block: Block, at: Ints) -> tuple[Ints, Columns]:
        """The cells as the slices number them, and their columns."""
        columns = self._plan.shapes[block.shape].columns
        place = (block.period[at] - self._span.start) * self._places + block.geo[at]
        return place * prod(self._plan.sizes(columns)) + block.code[at], columns

    def sums(self, cells: Ints, columns: Columns, facts: Container[str]) -> Mapping[Column, Ints]:
        """Every sum of these facts, which can tell the cells apart."""
        found: dict[Column, Ints] = {}
        if EXPOSURE in self._plan.facts:
            found |= self._insured(cells, columns)
        for name, fact in self._plan.facts.items():
            if name == EXPOSURE or not fact.sums or name not in facts:
                continue
            source = self._slices[name]
            rows = source.merged("sums", columns)
            place = located(cells, *source.cells(rows, columns))
            own = place >= 0
            for line, column in enumerate(fact.sums):
                table = np.zeros(len(cells), np.int64)
                np.add.at(table, place[own], rows.sums[2 + line][own])
                found[name, column] = table
        return found

    def _insured(self, cells: Ints, columns: Columns) -> Mapping[Column, Ints]:
        """The sums of who is insured in each cell, treated or not; their days always."""
        fact = self._plan.facts[EXPOSURE]
        known = tuple(c for c in columns if c in fact.columns)
        if known not in self._people:
            source = self._slices[EXPOSURE]
            rows = source.merged("sums", known)
            lines = {"days": 1, **{column: 2 + at for at, column in enumerate(fact.sums)}}
            there, found = totals(
                *source.cells(rows, known), [rows.sums[line] for line in lines.values()]
            )
            self._people[known] = (there, dict(zip(lines, found, strict=True)))
        there, sums = self._people[known]
        inside = onto(self._plan, cells, columns, known)
        return {(EXPOSURE, name): aligned(inside, there, own) for name, own in sums.items()}

    def records(
        self, cells: Ints, columns: Columns, facts: Container[str]
    ) -> Mapping[Column, Records]:
        found = {}
        for name, fact in self._plan.facts.items():
            if fact.records and name in facts:
                for column in fact.records:
                    found[name, column] = _records(self._slices[name], column, cells, columns)
        return found


def _records(source: Slice, column: str, cells: Ints, columns: Columns) -> Records:
    """Values by cell, ascending, of the rows that have one."""
    window = source.window
    place = located(cells, *source.cells(window.rows, columns))
    held = np.flatnonzero((place >= 0) & (window.present[column] > 0))
    values, place = window.records[column][held], place[held]
    person = window.rows.keys["person"][held].astype(np.int64)
    order = np.lexsort((values, place))
    crowd = int(person.max(initial=0)) + 1
    pairs = np.sort(place * crowd + person)
    persons = np.bincount(pairs[changes(pairs)] // crowd, minlength=len(cells))
    counts = np.bincount(place, minlength=len(cells))
    return Records(values[order], np.append(0, np.cumsum(counts)), persons)


def _placed(parts: Sequence[tuple[Ints, Records]], length: int) -> Records:
    """Records of some cells, at their places in the block; the others have none."""
    counts, persons = np.zeros(length, np.int64), np.zeros(length, np.int64)
    for at, records in parts:
        counts[at], persons[at] = np.diff(records.starts), records.persons
    values = np.concatenate([records.values for _, records in parts])
    return Records(values, np.append(0, np.cumsum(counts)), persons)
