"""Cells beside each other along a dim of bands: what holds for a band and all above it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.releases.kernel import Bools, Ints, mixed, unmixed
from gateway.releases.shapes import dims_by_column
from gateway.releases.shown import Shown


@dataclass(frozen=True)
class Row:
    """The shown cells of one block that name a band: which row of sisters, and which band."""

    part: slice
    sisters: Ints  # a number for each cell, the same for cells that differ in the band alone
    band: Ints
    values: tuple[str, ...]  # the bands of this level, lowest first


def rows_along(shown: Shown, dim: str) -> Iterator[Row]:
    """Each block of shown cells whose shape has a column of the dim."""
    plan = shown.table.plan
    dims = dims_by_column(plan.service)
    for block, part, own in shown.by_block:
        columns = plan.shapes[block.shape].columns
        at = next((i for i, c in enumerate(columns) if dims[c].name == dim), None)
        if at is None:
            continue
        sizes = plan.sizes(columns)
        _, *digits = unmixed(block.code[own], sizes)
        rest = [d for i, d in enumerate(digits) if i != at]
        places = plan.places(plan.service.geo[block.level])
        others = [1, places, *(s for i, s in enumerate(sizes) if i != at)]
        key = mixed([block.period[own], block.geo[own], *rest], others, len(own))
        _, sisters = np.unique(key, return_inverse=True)
        yield Row(part, sisters.astype(np.int64), digits[at], plan.domains[columns[at]].values)


def upwards(row: Row, values: Ints, open_: Bools) -> tuple[Ints, Bools]:
    """For each cell the sum over its band and all above, and whether all of these are open."""
    size = (int(row.sisters.max(initial=-1)) + 1, len(row.values))
    known = row.band < len(row.values)
    at = (row.sisters[known], row.band[known])
    table, seen = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    table[at], seen[at] = values[known], open_[known]
    total = table[:, ::-1].cumsum(axis=1)[:, ::-1]
    whole = np.logical_and.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    band = np.where(known, row.band, 0)
    return total[row.sisters, band], whole[row.sisters, band] & known
