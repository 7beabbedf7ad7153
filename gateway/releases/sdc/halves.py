"""Cells that have exactly two parts along an axis: two of the three figures give the third.

Two parts, because the axis has no more (the sexes), or because no other holds records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.lattice import Axis, Ints
from gateway.releases.sdc.nested import Counts


@dataclass(frozen=True)
class Half:
    """Shown cells and, for each, the codes of its two parts on the axis."""

    axis: int
    cells: Ints
    one: Ints
    other: Ints


def halves(of: Counts) -> Iterator[Half]:
    """The shown cells with two parts, axis by axis."""
    for axis in range(len(of.lattice.axes)):
        found = _by_list(of, axis)
        if of.whole:
            counted = _by_records(of, axis)
            fresh = ~np.isin(counted.cells, found.cells)
            found = Half(
                axis,
                *(
                    np.concatenate([getattr(found, name), getattr(counted, name)[fresh]])
                    for name in ("cells", "one", "other")
                ),
            )
        if found.cells.size:
            yield found


def _by_list(of: Counts, axis: int) -> Half:
    unnamed = of.unnamed[axis] if of.unnamed else frozenset()
    parts = _parts(of.lattice.axes[axis], unnamed)
    cells = np.flatnonzero(of.open)
    code = of.lattice.codes[cells, axis]
    table = np.full((of.lattice.axes[axis].size + 1, 2), -1, np.int64)
    for whole, (one, other) in parts.items():
        table[whole] = one, other
    two = table[code]
    have = two[:, 0] >= 0
    return Half(axis, cells[have], two[have, 0], two[have, 1])


def _parts(axis: Axis, unnamed: frozenset[int]) -> dict[int, tuple[int, int]]:
    """Codes with exactly two named codes below them, and these."""
    below: dict[int, list[int]] = {}
    for code, up in enumerate(axis.parent.tolist()):
        if code and up >= 0 and code not in unnamed:
            below.setdefault(up, []).append(code)
    return {code: (two[0], two[1]) for code, two in below.items() if len(two) == 2}


def _by_records(of: Counts, axis: int) -> Half:
    """Shown cells of whose children along the axis just two hold records."""
    index = of.lattice.index
    codes = of.lattice.codes[:, axis].astype(np.int64)
    above = of.lattice.axes[axis].parent[codes].astype(np.int64)
    cells = np.flatnonzero((of.persons > 0) & (above >= 0))
    parent = of.find(index.key[cells] + (above[cells] - codes[cells]) * index.strides[axis])
    cells, parent = cells[parent >= 0], parent[parent >= 0]
    order = np.lexsort((codes[cells], parent))
    cells, parent = cells[order], parent[order]
    whole, first, size = np.unique(parent, return_index=True, return_counts=True)
    whole, first = whole[size == 2], first[size == 2]
    return Half(axis, whole, codes[cells[first]], codes[cells[first + 1]])
