"""Make the declared sums hold, to the step, in every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synthetic.synthesiser.rows import Rows
from synthetic.tables.schema import ChildrenSum, Sum

Ints = NDArray[np.int64]

ROOM = float(1 << 62)


def apportioned(totals: Ints, weights: Ints, group: Ints) -> Ints:
    """Whole parts of each group's total, in proportion to weights, by largest remainder.

    `group`: the group of each weight, rising. A group whose weights are all 0 is split evenly.
    Where remainders are equal, the first comes first.
    """
    groups = totals.size
    some = _summed(weights, group, groups) > 0
    weights = np.where(some[group], weights, 1)
    while (over := weights.astype(np.float64) * totals[group] >= ROOM).any():
        wide = np.bincount(group, weights=over, minlength=groups) > 0
        weights = np.where(wide[group], (weights + 1) // 2, weights)
    whole = np.maximum(_summed(weights, group, groups), 1)
    product = totals[group] * weights
    parts = product // whole[group]
    order = np.lexsort((-(product - parts * whole[group]), group))
    sizes = np.bincount(group, minlength=groups)
    rank = np.arange(group.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    short = totals - _summed(parts, group, groups)
    parts[order] += rank < short[group[order]]
    return np.asarray(parts)


def _summed(values: Ints, group: Ints, groups: int) -> Ints:
    ends = np.concatenate([[0], np.cumsum(values)])
    sizes = np.bincount(group, minlength=groups)
    stops = np.cumsum(sizes)
    return np.asarray(ends[stops] - ends[stops - sizes])


def settle(tables: Mapping[str, Rows], order: Sequence[str]) -> None:
    """Derive totals from the rows below upwards, then split totals downwards."""
    for name in reversed(order):
        rows = tables[name]
        for identity in rows.level.table.identities:
            if isinstance(identity, Sum) and identity.keep == "items":
                rows.values[identity.total] = sum(
                    (rows.known(item) for item in identity.items), np.zeros(rows.size, np.int64)
                )
            elif isinstance(identity, ChildrenSum) and identity.keep == "items":
                below = tables[identity.child]
                rows.values[identity.total] = _summed(
                    below.known(identity.item), below.parent, rows.size
                )
    for name in order:
        for identity in tables[name].level.table.identities:
            if isinstance(identity, ChildrenSum) and identity.keep == "total":
                _split_below(tables[name], tables[identity.child], identity)
        for identity in tables[name].level.table.identities:
            if isinstance(identity, Sum) and identity.keep == "total":
                _split(tables[name], identity)


def _split_below(rows: Rows, below: Rows, identity: ChildrenSum) -> None:
    some = np.bincount(below.parent, minlength=rows.size) > 0
    rows.values[identity.total] = np.where(some, rows.values[identity.total], 0)
    below.values[identity.item] = apportioned(
        rows.values[identity.total], below.known(identity.item), below.parent
    )
    below.fill(identity.item)


def _split(rows: Rows, identity: Sum) -> None:
    items = np.stack([rows.known(item) for item in identity.items], axis=1)
    here = np.stack([~rows.missing(item) for item in identity.items], axis=1)
    # Nothing to go by: the items that are there share it; where none is, all become known.
    nothing = (items == 0).all(axis=1, keepdims=True)
    weights = np.where(nothing & here, 1, items)
    group = np.repeat(np.arange(rows.size), len(identity.items))
    parts = apportioned(rows.values[identity.total], weights.ravel(), group)
    parts = parts.reshape(items.shape)
    for place, item in enumerate(identity.items):
        rows.values[item] = parts[:, place]
        rows.fill(item, parts[:, place] > 0)
