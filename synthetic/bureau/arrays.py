"""Names for the arrays the simulator works on, and its seeded random streams."""

from __future__ import annotations

import zlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]  # Any: a column's dtype is chosen by its maker
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Reals: TypeAlias = npt.NDArray[np.float64]


def stream(seed: int, concern: str, block: int = 0) -> np.random.Generator:
    """The random numbers of one concern in one block: the same whoever draws them, and when."""
    entropy = [seed, zlib.crc32(concern.encode()), block]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def pick(rng: np.random.Generator, weights: Array, size: int) -> Ints:
    """Indices drawn with the given weights."""
    cumulated = np.cumsum(weights, dtype=np.float64)
    draws = rng.random(size) * cumulated[-1]
    found: Ints = np.searchsorted(cumulated, draws, side="right")
    return np.minimum(found, len(cumulated) - 1)


def ranks(sorted_groups: Array) -> Ints:
    """Position 0, 1, 2… of each element inside its run of equal values."""
    n = len(sorted_groups)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    new = np.empty(n, dtype=bool)
    new[0] = True
    new[1:] = sorted_groups[1:] != sorted_groups[:-1]
    starts = np.flatnonzero(new)
    return np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))


def sums(index: Array, values: Array, size: int) -> Ints:
    """Σ values per index, exact for integers below 2^53."""
    return np.bincount(index, weights=values, minlength=size).astype(np.int64)


def half_up(numerator: Array, denominator: int) -> Ints:
    """Integer division rounded half up; numerators are not negative."""
    return (numerator + denominator // 2) // denominator
