"""Bound what one person can change: at most `c` cells of a table, at most 1 in each of them.

This is what makes the noise enough. `counts` is the proof: it only ever adds up what `bounded`
let through, a set of distinct (person, cell) pairs with at most `c` of each person. Which pairs are
kept depends on the pairs of that person alone, and on random numbers, never on other persons: so
adding or removing one person changes the counts by at most `c` in all (L1).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]


def bounded(person: Ints, cell: Ints, c: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Distinct (person, cell) pairs, at most `c` of each person, chosen uniformly."""
    if c < 1:
        raise ValueError("a person counts in one cell at least")
    pairs = np.unique(np.stack([person, cell]), axis=1)
    pairs = pairs[:, rng.permutation(pairs.shape[1])]
    pairs = pairs[:, np.argsort(pairs[0], kind="stable")]
    fresh = np.ones(pairs.shape[1], np.bool_)
    fresh[1:] = pairs[0, 1:] != pairs[0, :-1]
    starts = np.flatnonzero(fresh)
    rank = np.arange(pairs.shape[1]) - starts[np.cumsum(fresh) - 1]
    kept = pairs[:, rank < c]
    return kept[0], kept[1]


def counts(person: Ints, cell: Ints, cells: int, c: int, rng: np.random.Generator) -> Ints:
    """Persons per cell 0 … cells-1, each person in at most `c` of them."""
    if len(cell) and not 0 <= int(cell.min()) <= int(cell.max()) < cells:
        raise ValueError("a cell lies outside the table")
    _, kept = bounded(person, cell, c, rng)
    return np.bincount(kept, minlength=cells).astype(np.int64)
