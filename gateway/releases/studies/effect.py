"""Difference in differences of matched sets: arrays in, estimates out, nothing else known.

A set is one person of a programme and up to a few matched comparators, and it is the unit of all
that follows: what the programme changed is the mean over the sets of the change of the programme's
person less the mean change of its comparators. Sums are whole numbers, so they do not depend on the
order of rows, and the intervals are those of a bootstrap of the sets with a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from gateway.releases.kernel import Bools, Floats, Ints

_AT_ONCE = 4_000_000  # draws held together
_TAIL = 40  # 1 of 40 on either side: 95 %


@dataclass(frozen=True)
class Panel:
    """The persons of one matched cohort: set, arm, and an outcome before and after."""

    set_no: Ints
    treated: Bools
    before: Ints
    after: Ints


@dataclass(frozen=True)
class Sets:
    """Matched sets in order: the change in each and what its programme person had after, both times
    `unit`, so that means of up to a few comparators are whole numbers."""

    change: Ints
    after: Ints
    comparators: Ints
    unit: int

    def __len__(self) -> int:
        return len(self.change)

    @property
    def moved(self) -> int:
        """In how many sets anything changed."""
        return int(np.count_nonzero(self.change))


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error, and how much of its variance the largest set makes."""

    value: float
    error: float
    largest: float

    def times(self, factor: float) -> Estimate:
        """The same in another unit."""
        return Estimate(self.value * factor, self.error * factor, self.largest)


@dataclass(frozen=True)
class Drawn:
    """Sums of the change and of the outcome after in each resample of the sets."""

    change: Ints
    after: Ints


def matched_sets(panel: Panel) -> Sets:
    """The sets of one programme person and at least one comparator; others say nothing."""
    labels, place = np.unique(panel.set_no, return_inverse=True)
    change = panel.after - panel.before

    def summed(values: Ints, arm: Bools) -> Ints:
        table = np.zeros(len(labels), np.int64)
        np.add.at(table, place[arm], values[arm])
        return table

    one, others = panel.treated, ~panel.treated
    heads = summed(np.ones_like(change), one)
    many = summed(np.ones_like(change), others)
    held = (heads == 1) & (many > 0)
    unit = int(np.lcm.reduce(np.unique(many[held]))) if held.any() else 1
    own = unit * summed(change, one)[held]
    theirs = summed(change, others)[held] * (unit // many[held])
    after = unit * summed(panel.after, one)[held]
    return Sets(own - theirs, after, many[held], unit)


def difference(sets: Sets) -> Estimate:
    """The mean change of the sets, with the standard error that clusters by set."""
    change = sets.change / sets.unit
    return _estimated(float(change.mean()), change - change.mean())


def relative(sets: Sets) -> Estimate | None:
    """The difference as a share of what the programme's persons would have had without it.

    None where that would not have been more than nothing. The error is that of the linearised
    ratio.
    """
    without = (sets.after - sets.change) / sets.unit
    mean = float(without.mean())
    if mean <= 0:
        return None
    share = float(sets.change.mean() / sets.unit) / mean
    return _estimated(share, (sets.change / sets.unit - share * without) / mean)


def _estimated(value: float, parts: Floats) -> Estimate:
    """A mean whose deviations by set are `parts`."""
    squares = parts * parts
    total, n = float(squares.sum()), len(parts)
    if total == 0 or n < 2:
        return Estimate(value, 0.0, 1.0)
    return Estimate(value, sqrt(total / (n - 1) / n), float(squares.max()) / total)


def resampled(sets: Sets, resamples: int, seed: int) -> Drawn:
    """Sets drawn with replacement, as many as there are, so many times."""
    n = len(sets)
    rng = np.random.Generator(np.random.PCG64(seed))
    change, after = np.empty(resamples, np.int64), np.empty(resamples, np.int64)
    step = max(1, _AT_ONCE // n)
    for first in range(0, resamples, step):
        part = slice(first, min(first + step, resamples))
        chosen = rng.integers(0, n, (part.stop - part.start, n))
        change[part] = sets.change[chosen].sum(axis=1)
        after[part] = sets.after[chosen].sum(axis=1)
    return Drawn(change, after)


def interval(drawn: Drawn, sets: Sets) -> tuple[float, float]:
    """The middle 95 % of the resampled differences."""
    low, high = _middle(np.sort(drawn.change))
    whole = len(sets) * sets.unit
    return low / whole, high / whole


def relative_interval(drawn: Drawn) -> tuple[float, float] | None:
    """The middle 95 % of the resampled shares; None where one of them has no base."""
    without = drawn.after - drawn.change
    if without.min() <= 0:
        return None
    return _middle(np.sort(drawn.change / without))


def _middle(ordered: Ints | Floats) -> tuple[float, float]:
    rank = (len(ordered) + 1) // _TAIL
    return float(ordered[rank - 1]), float(ordered[-rank])


def balance(panel: Panel) -> float | None:
    """Standardised difference of the arms before; comparators of a set weigh one together.

    None where nobody differs from anybody.
    """
    labels, place = np.unique(panel.set_no, return_inverse=True)
    many = np.bincount(place[~panel.treated], minlength=len(labels))
    heads = np.bincount(place[panel.treated], minlength=len(labels))
    held = ((heads == 1) & (many > 0))[place]
    arms = []
    for arm in (held & panel.treated, held & ~panel.treated):
        weight = np.where(panel.treated, 1.0, 1.0 / np.maximum(many[place], 1))[arm]
        values = panel.before[arm].astype(np.float64)
        mean = float((weight * values).sum() / weight.sum())
        arms.append((mean, float((weight * (values - mean) ** 2).sum() / weight.sum())))
    (mean, spread), (other, theirs) = arms
    width = sqrt((spread + theirs) / 2)
    return (mean - other) / width if width > 0 else None
