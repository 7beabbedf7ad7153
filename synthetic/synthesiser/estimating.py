"""From noised counts to probabilities, in closed form.

What noise alone explains is taken back: cells are shrunk to what lower-order figures expect, by as
much as noise explains of their differences from it, cells of like size together (James and Stein's
rule; Efron and Morris, 1973). Then the table is raked to its noised one-way counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Axes = tuple[int, ...]

SWEEPS = 8
TINY = 1e-12
DIGITS = 9
"""Of probabilities in a model: what is kept in its file is what is drawn from."""


def positive(counts: Floats, total: float) -> Floats:
    """The nearest figures that are not negative and add up to `total` (projection on a simplex)."""
    flat = counts.ravel()
    total = max(total, TINY)
    falling = np.sort(flat[np.isfinite(flat)])[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, falling.size + 1)
    last = int(np.flatnonzero(falling > excess)[-1])
    return np.asarray(np.maximum(flat - excess[last], 0.0)).reshape(counts.shape)


def shrunk(counts: Floats, expected: Floats, sigma: float) -> Floats:
    """Noised counts moved to the expected ones, cells of like expected size by one part."""
    residue = counts - expected
    size = np.floor(np.log2(np.maximum(expected, TINY)) / 2).astype(np.int64)
    size = np.maximum(size - size.max(), -12) + 12  # 13 classes, each four times the next
    cells = np.bincount(size.ravel(), minlength=13)
    seen = np.bincount(size.ravel(), weights=(residue**2).ravel(), minlength=13)
    signal = np.maximum(0.0, seen - cells * sigma**2)
    keep = signal / np.maximum(seen, TINY)
    return positive(expected + keep[size] * residue, float(expected.sum()))


def raked(table: Floats, margins: Mapping[Axes, Floats], sweeps: int = SWEEPS) -> Floats:
    """The table nearest to `table` with these margins (iterative proportional fitting)."""
    fitted = table + TINY
    for _ in range(sweeps):
        for axes, target in margins.items():
            others = tuple(a for a in range(fitted.ndim) if a not in axes)
            now = fitted.sum(axis=others, keepdims=True)
            shape = [n if a in axes else 1 for a, n in enumerate(fitted.shape)]
            fitted *= target.reshape(shape) / np.maximum(now, TINY)
    return fitted


def independent(margins: Sequence[Floats]) -> Floats:
    """The counts if the columns had nothing to do with each other; margins of one total."""
    total = max(float(margins[0].sum()), TINY)
    table = np.array(total)
    for margin in margins:
        table = np.multiply.outer(table, margin / total)
    return np.asarray(table)


def estimated(counts: Floats, margins: Sequence[Floats], sigma: float) -> Floats:
    """A joint table from its noised counts and the (positive) one-way counts of its axes.

    Cells are shrunk to the table that its pairs imply, pairs to independence.
    """
    singles: dict[Axes, Floats] = {(axis,): margin for axis, margin in enumerate(margins)}
    expected = independent(margins)
    if counts.ndim < 2:
        return expected
    if counts.ndim > 2:
        expected = raked(expected, _pairs(counts, margins, sigma))
    return raked(shrunk(counts, expected, sigma), singles, sweeps=3)


def _pairs(counts: Floats, margins: Sequence[Floats], sigma: float) -> dict[Axes, Floats]:
    found: dict[Axes, Floats] = {}
    for pair in combinations(range(counts.ndim), 2):
        others = tuple(a for a in range(counts.ndim) if a not in pair)
        hidden = float(np.prod([counts.shape[a] for a in others]))
        two = [margins[a] for a in pair]
        found[pair] = estimated(counts.sum(axis=others), two, sigma * hidden**0.5)
    return found


def conditional(table: Floats) -> Floats:
    """P(last axis | the others), one row for each combination of the others, as cumulative sums."""
    rows = table.reshape(-1, table.shape[-1])
    # A combination never seen draws what the column draws at large.
    rows = rows + TINY + rows.sum(axis=0) / max(float(rows.sum()), TINY) * 1e-6
    cumulative = np.cumsum(rows, axis=1)
    return np.asarray(np.round(cumulative / cumulative[:, -1:], DIGITS))
