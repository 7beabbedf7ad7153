"""Total variation between two tables over their k-way marginals, beside the floors that tell
what a figure is worth: columns drawn independently, and other real persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
DENSE = 4_000_000
"""Cells up to which a marginal is counted in one array; above, only cells that occur are."""
SAMPLED = 300
"""Marginals of a width that are looked at, where there are more: drawn by the seed."""


@dataclass(frozen=True)
class Coded:
    """A table as small integers: one array a column, all of one length; `sizes[c]` codes each."""

    columns: Mapping[str, Codes]
    sizes: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, at: NDArray[np.int64]) -> Coded:
        """The rows at these positions."""
        return Coded({name: codes[at] for name, codes in self.columns.items()}, self.sizes)


def tvd(one: Coded, other: Coded, columns: Sequence[str]) -> float:
    """Half the L1 distance of two tables' shares over the cells of `columns`: 0 alike, 1 disjoint.

    Raises:
        ValueError: a table has no rows, so no shares.
    """
    if not one.rows or not other.rows:
        raise ValueError("a table without rows has no marginals")
    sizes = [max(one.sizes[name], other.sizes[name]) for name in columns]
    left, right = (_cell(table, columns, sizes) for table in (one, other))
    cells = int(np.prod(sizes, dtype=np.float64))
    if cells > DENSE:
        _, dense = np.unique(np.concatenate([left, right]), return_inverse=True)
        left, right, cells = dense[: len(left)], dense[len(left) :], int(dense.max()) + 1
    p = np.bincount(left, minlength=cells) / one.rows
    q = np.bincount(right, minlength=cells) / other.rows
    return float(np.abs(p - q).sum() / 2)


def _cell(table: Coded, columns: Sequence[str], sizes: Sequence[int]) -> Codes:
    cell = np.zeros(table.rows, np.int64)
    for name, size in zip(columns, sizes, strict=True):
        cell = cell * size + table.columns[name]
    return cell


def marginals_of(columns: Sequence[str], width: int, seed: int) -> list[tuple[str, ...]]:
    """Every marginal of a width, or `SAMPLED` of them drawn by the seed."""
    if comb(len(columns), width) <= SAMPLED or width == 2:
        return list(combinations(columns, width))
    draw = np.random.default_rng([seed, width])
    found: set[tuple[str, ...]] = set()
    while len(found) < SAMPLED:
        picked = sorted(draw.choice(len(columns), width, replace=False))
        found.add(tuple(columns[at] for at in picked))
    return sorted(found)


def mean_tvd(one: Coded, other: Coded, width: int, seed: int = 0) -> float:
    """The mean of `tvd` over the marginals of a width; nan where there are too few columns."""
    found = [tvd(one, other, each) for each in marginals_of(list(one.columns), width, seed)]
    return float(np.mean(found)) if found else float("nan")


def independent(real: Coded, rows: int, seed: int) -> Coded:
    """`rows` rows whose columns are drawn from the real ones, each for itself: the floor of
    whoever keeps one-way figures and nothing else."""
    draw = np.random.default_rng([seed, 0x1D])
    return Coded(
        {name: draw.choice(codes, rows) for name, codes in real.columns.items()}, real.sizes
    )


@dataclass(frozen=True)
class Fidelity:
    """Mean TVD by width, of the synthetic table and of its two floors."""

    synthetic: dict[int, float]
    independent: dict[int, float]
    holdout: dict[int, float]
    pairs: dict[tuple[str, str], float]
    """TVD of each pair of columns, of the synthetic table."""


def fidelity(real: Coded, synthetic: Coded, holdout: Coded, seed: int = 0) -> Fidelity:
    """One-, two- and three-way TVD to `real`."""
    alone = independent(real, synthetic.rows, seed)
    names = list(real.columns)

    def by_width(other: Coded) -> dict[int, float]:
        widths = [width for width in (1, 2, 3) if width <= len(names)]
        return {width: mean_tvd(real, other, width, seed) for width in widths}

    return Fidelity(
        by_width(synthetic),
        by_width(alone),
        by_width(holdout),
        {(a, b): tvd(real, synthetic, (a, b)) for a, b in combinations(names, 2)},
    )
