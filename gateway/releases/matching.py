"""Which cells of two services count the same records: by places in their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.catalogue.model import Link as Linked
from gateway.releases.blocks import Block
from gateway.releases.kernel import Bools, Ints, mixed, unmixed
from gateway.releases.spans import contains, is_range
from gateway.releases.table import Table


def pairs_of(left: Table, right: Table, linked: Linked) -> Ints:
    """Places of linked cells, one row per pair."""
    index = {
        (right.plan.shapes[b.shape].columns, _level(right, b)): i
        for i, b in enumerate(right.blocks)
    }
    pairs = [np.zeros((0, 2), np.int64)]
    for i, block in enumerate(left.blocks):
        columns = left.plan.shapes[block.shape].columns
        if not set(columns) <= set(linked.dims):
            continue
        wanted = {linked.dims[c]: c for c in columns} | dict.fromkeys(linked.where, "")
        order = tuple(c for c in right.plan.domains if c in wanted)
        there = index.get((order, _level(left, block)))
        if there is not None:
            sources = [wanted[c] for c in order]
            sides = (_Side(left, i), _Side(right, there))
            pairs.append(_matched(sides, order, sources, linked.where))
    return np.concatenate(pairs)


def pairs_of_parts(left: Table, right: Table, linked: Linked) -> Ints:
    """Places of a left cell and of a right cell that is a part of it, one row per pair."""
    index = {
        (left.plan.shapes[b.shape].columns, _level(left, b)): i for i, b in enumerate(left.blocks)
    }
    back = {there: here for here, there in (linked.dims | linked.parts).items()}
    pairs = [np.zeros((0, 2), np.int64)]
    for i, block in enumerate(right.blocks):
        columns = right.plan.shapes[block.shape].columns
        meant = [column for column in columns if column not in linked.where]
        if not set(linked.where) <= set(columns) or not set(meant) <= back.keys():
            continue
        if not set(meant) & set(linked.parts.values()):
            continue
        order = tuple(c for c in left.plan.domains if c in {back[m] for m in meant})
        there = index.get((order, _level(right, block)))
        if there is not None:
            sides = (_Side(right, i), _Side(left, there))
            sources = [(linked.dims | linked.parts)[column] for column in order]
            held = _where(sides[0], linked.where)
            found = _matched(sides, order, sources, {})
            pairs.append(found[held[found[:, 0] - sides[0].offset]][:, ::-1])
    return np.concatenate(pairs)


def _where(side: _Side, values: Mapping[str, str]) -> Bools:
    """Cells of the block that have these values."""
    plan = side.table.plan
    columns = plan.shapes[side.block.shape].columns
    digits = unmixed(side.block.code, plan.sizes(columns))[1:]
    found = np.ones(len(side.block), np.bool_)
    for column, value in values.items():
        found &= digits[columns.index(column)] == plan.domains[column].values.index(value)
    return found


def _level(table: Table, block: Block) -> str:
    return table.plan.service.geo[block.level].level


@dataclass(frozen=True)
class _Side:
    """One block of one of two linked tables."""

    table: Table
    number: int

    @property
    def block(self) -> Block:
        return self.table.blocks[self.number]

    @property
    def offset(self) -> int:
        return int(self.table.offset[self.number])


def _matched(
    sides: tuple[_Side, _Side],
    order: Sequence[str],
    sources: Sequence[str],
    where: Mapping[str, str],
) -> Ints:
    """Cells of the left block with the right block's cell of the same records."""
    left, right = sides
    mine, theirs = left.block, right.block
    parts = [_periods(left, right), _places(left, right)]
    for column, source in zip(order, sources, strict=True):
        values = right.table.plan.domains[column].values
        if source:
            parts.append(_translated(left, source, values))
        else:
            parts.append(np.full(len(mine), values.index(where[column]), np.int64))
    plan = right.table.plan
    places = plan.places(plan.service.geo[theirs.level])
    code = mixed(parts, [1, places, *plan.sizes(order)], len(mine))
    keys = plan.keys(theirs)
    place = np.minimum(np.searchsorted(keys, code), len(keys) - 1)
    same = np.logical_and.reduce([keys[place] == code, *(part >= 0 for part in parts)])
    return np.stack([left.offset + np.flatnonzero(same), right.offset + place[same]], axis=1)


def _translated(side: _Side, column: str, values: Sequence[str]) -> Ints:
    """The block's codes of a column as places in another list; -1 where that lacks the value."""
    plan = side.table.plan
    columns = plan.shapes[side.block.shape].columns
    digits = unmixed(side.block.code, plan.sizes(columns))[1:][columns.index(column)]
    known = plan.domains[column]
    table = [_place(v, values) for v in known.values]
    return np.array([*table, *[-1] * known.unmapped], np.int64)[digits]


def _place(value: str, values: Sequence[str]) -> int:
    """Where a value, or the range that holds it, is in a list; -1 for nowhere."""
    if value in values:
        return values.index(value)
    if not (is_range(value) and all(map(is_range, values))):
        return -1
    return next((i for i, wider in enumerate(values) if contains(wider, value)), -1)


def _places(left: _Side, right: _Side) -> Ints:
    city = _level(left.table, left.block) == "city"
    mine = left.table.plan.cities if city else left.table.plan.counties
    theirs = right.table.plan.cities if city else right.table.plan.counties
    table = [theirs.index(place) if place in theirs else -1 for place in mine]
    return np.array(table, np.int64)[left.block.geo]


def _periods(left: _Side, right: _Side) -> Ints:
    theirs = {(p.grain, p.label): i for i, p in enumerate(right.table.plan.periods)}
    table = [theirs.get((p.grain, p.label), -1) for p in left.table.plan.periods]
    return np.array(table, np.int64)[left.block.period]
