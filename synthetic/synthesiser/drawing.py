"""Draw codes and values: vectorised, every random number of a block from one counter-based stream.

A block of units has its own Philox stream for each table, keyed by the seed: what is drawn depends
on the seed, the table and the block's number, not on who draws it or when.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from synthetic.synthesiser.domains import Domain
from synthetic.synthesiser.model import Values

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def stream(seed: int, table: str, block: int) -> np.random.Generator:
    """The random numbers of a block of a table."""
    digest = hashlib.sha256(f"sluice synth sample {seed} {table}".encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    return np.random.Generator(np.random.Philox(key=key, counter=block << 192))


def spread(group: Ints, groups: int, rng: np.random.Generator) -> Floats:
    """Uniform numbers, evenly spread within each group of rows; in no order of the rows.

    Each alone is uniform; together they draw what a group expects with less chance than singly.
    """
    shuffled = rng.permutation(group.size)
    kind = np.uint16 if groups <= 1 << 16 else np.int64
    order = shuffled[np.argsort(group[shuffled].astype(kind), kind="stable")]
    sizes = np.bincount(group, minlength=groups)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(group.size, np.int64)
    rank[order] = np.arange(group.size)
    uniform = (rank - starts[group] + rng.random(group.size)) / sizes[group]
    return np.asarray(np.minimum(uniform, 1 - 2**-53))


def drawn(table: Floats, group: Ints, rng: np.random.Generator) -> Ints:
    """A code for each row, from row `group` of cumulative probabilities."""
    groups, size = table.shape
    uniform = spread(group, groups, rng)
    # Rows laid end to end: the cumulative sums of row r lie in (r, r+1].
    ends = (table + np.arange(groups)[:, None]).ravel()
    place = np.searchsorted(ends, group + uniform, side="right")
    return np.asarray(np.minimum(place - group * size, size - 1), np.int64)


def valued(codes: Ints, domain: Domain, values: Values, rng: np.random.Generator) -> Ints:
    """A value in steps for each code; what it says of a missing value means nothing."""
    bins = np.minimum(codes, domain.known - 1)
    uniform = spread(bins, domain.known, rng)
    ends = np.cumsum(values.cells)
    starts = np.searchsorted(domain.fine_bin, np.arange(domain.known + 1))
    before = np.concatenate([[0.0], ends])[starts]
    mass = np.diff(before)
    cell = np.searchsorted(ends, before[bins] + uniform * mass[bins], side="right")
    cell = np.clip(cell, starts[bins], starts[bins + 1] - 1)
    low, high = domain.fine_edges[cell], domain.fine_edges[cell + 1]
    return _within(low, high, values.cycle, rng.random(codes.size))


def _within(low: Ints, high: Ints, cycle: Floats, uniform: Floats) -> Ints:
    """A whole number of [low, high), weighted by its remainder."""
    if cycle.size == 0:
        return np.asarray(low + (uniform * (high - low)).astype(np.int64))
    length = cycle.size
    ends = np.concatenate([[0.0], np.cumsum(cycle)])

    def below(value: Ints) -> Floats:
        return np.asarray((value // length) * ends[-1] + ends[value % length])

    target = below(low) + uniform * (below(high) - below(low))
    turn = np.floor(target / ends[-1])
    rest = np.searchsorted(ends, target - turn * ends[-1], side="right") - 1
    value = turn.astype(np.int64) * length + np.minimum(rest, length - 1)
    return np.asarray(np.clip(value, low, high - 1))
