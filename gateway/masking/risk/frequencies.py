"""Sample and population frequencies of keys, and the risks that follow from them.

A key is a row's combination of quasi-identifiers. `None` stands for any value, as in sdcMicro's
`freqCalc`; a generalised value such as `*` is a value like others, as in ARX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, Sequence[object]]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MISSING = -1


@dataclass(frozen=True)
class Frequencies:
    """Of every row: `sample`, the rows that share its key (itself included), and `population`, the
    sum of their weights (equal to `sample` without weights)."""

    sample: Ints
    population: Floats

    def unique_share(self) -> float:
        """Share of rows that are alone with their key."""
        return float(np.mean(self.sample == 1)) if len(self.sample) else 0.0


def coded(columns: Columns) -> Ints:
    """Rows × columns of small whole numbers, equal where values are; -1 where one is None."""
    made = []
    for values in columns.values():
        numbers: dict[object, int] = {}
        row = [_MISSING if v is None else numbers.setdefault(v, len(numbers)) for v in values]
        made.append(np.array(row, dtype=np.int64))
    return np.stack(made, axis=1) if made else np.zeros((0, 0), dtype=np.int64)


def classes(codes: Ints) -> Ints:
    """A number for every row, equal where all its codes are."""
    number = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        # Renumbered after each column, so that the product never overflows.
        span = int(column.max(initial=0)) + 2
        number = np.unique(number * span + column + 1, return_inverse=True)[1]
    return number


def frequencies(columns: Columns, weights: Sequence[float] | None = None) -> Frequencies:
    """Of every row's key; `weights` are the population rows that each row stands for."""
    codes = coded(columns)
    weight = np.ones(len(codes)) if weights is None else np.asarray(weights, dtype=np.float64)
    sample, population = np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes))
    gaps = classes((codes == _MISSING).astype(np.int64))
    for mine, theirs in product(np.unique(gaps), repeat=2):
        here, there = np.flatnonzero(gaps == mine), np.flatnonzero(gaps == theirs)
        known = (codes[here[0]] != _MISSING) & (codes[there[0]] != _MISSING)
        both = classes(codes[np.concatenate([here, there])][:, known])
        left, right = both[: len(here)], both[len(here) :]
        size = int(both.max(initial=0)) + 1
        sample[here] += np.bincount(right, minlength=size)[left]
        population[here] += np.bincount(right, weights=weight[there], minlength=size)[left]
    return Frequencies(sample, population)


def individual_risk(told: Frequencies) -> Floats:
    """Expected share of right links of each row, if the table is a weighted sample.

    Benedetti and Franconi's estimate in the form sdcMicro computes by default (`indivRisk`,
    method "approx"): exact for keys of one or two rows, an approximation above.
    """
    f, population = told.sample.astype(np.float64), told.population
    p = np.clip(f / population, 0.0, 1.0)
    q = 1.0 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, log = p / q, np.log(1.0 / p)
        one, two, more = ratio * log, ratio - ratio**2 * log, p / (f - q)
    risk = np.where(f == 1, one, np.where(f == 2, two, more))
    certain: Floats = np.where(q < 1e-9, 1.0 / f, risk)
    return certain


@dataclass(frozen=True)
class Attackers:
    """ARX's three attackers: who knows that a person is in the table (`prosecutor`), who knows only
    the population (`journalist`), who wants as many links as possible (`marketer`). The first two
    are the greatest risk of any row, the third the mean."""

    prosecutor: float
    journalist: float
    marketer: float


def attackers(told: Frequencies) -> Attackers:
    """Zero for an empty table. Without weights journalist and prosecutor agree."""
    if not len(told.sample):
        return Attackers(0.0, 0.0, 0.0)
    known = np.maximum(told.population, told.sample)
    return Attackers(
        float(1.0 / told.sample.min()), float(1.0 / known.min()), float(np.mean(1.0 / known))
    )
