"""What a key gives away though nobody is unique: l-diversity and t-closeness of a column.

l-diversity: Machanavajjhala et al. 2007 (distinct, entropy). t-closeness: Li et al. 2007, earth
mover's distance with equal ground distance for categories and ordered distance for numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.masking.risk.frequencies import Floats, Ints


@dataclass(frozen=True)
class Diversity:
    """Of every class: how many sensitive values, e to the entropy of them, and its distance from
    the whole table."""

    distinct: Ints
    entropy: Floats
    distance: Floats


def diversity(classes: Ints, sensitive: Sequence[object], *, ordered: bool = False) -> Diversity:
    """`classes` numbers the rows' keys from 0; `ordered` values have a natural order and are
    compared by rank. None is a value of its own."""
    values = sorted({*sensitive}, key=_place) if ordered else list(dict.fromkeys(sensitive))
    rank = {value: number for number, value in enumerate(values)}
    shape = (int(classes.max(initial=-1)) + 1, len(values))
    table = np.zeros(shape)
    np.add.at(table, (classes, np.array([rank[v] for v in sensitive], dtype=np.int64)), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    whole = table.sum(axis=0) / max(len(sensitive), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(share > 0, -share * np.log(share), 0.0)
    return Diversity(
        distinct=(table > 0).sum(axis=1),
        entropy=np.exp(bits.sum(axis=1)),
        distance=_distance(share - whole, ordered=ordered),
    )


def _place(value: object) -> tuple[bool, object]:
    return value is not None, value


def _distance(difference: Floats, *, ordered: bool) -> Floats:
    if not ordered or difference.shape[1] < 2:
        told: Floats = np.abs(difference).sum(axis=1) / 2
        return told
    moved = np.abs(np.cumsum(difference, axis=1)).sum(axis=1)
    ranked: Floats = moved / (difference.shape[1] - 1)
    return ranked
