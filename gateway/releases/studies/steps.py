"""Rounding of study figures: steps so wide that one person more or less does not show.

A mean over n sets moves by |d − mean| ÷ (n − 1) when the set with change d leaves it. That is never
more than its standard error, whatever d is, and less than half of it where no set makes a quarter
of the variance. Figures are rounded to a step of at least so much, so a figure with and without any
one set lies on the same step or on the next one. The step follows from the standard error, which
the interval tells anyway.
"""

from __future__ import annotations

from math import ceil, floor, log10

from gateway.releases.studies.effect import Estimate

_DOMINANT = 0.25
"""From this share of the variance on a single set may move the mean by half its error."""
_ALONE = 0.5
"""No more of the variance may be one set's, as no more of an amount may be one person's."""


def tellable(estimate: Estimate) -> bool:
    """Whether the sets differ, and not by one of them alone."""
    return estimate.error > 0 and estimate.largest <= _ALONE


def step_of(estimate: Estimate, decimals: int) -> int:
    """The step of a figure, in units of its last decimal: one digit and zeros."""
    least = estimate.error if estimate.largest >= _DOMINANT else estimate.error / 2
    return one_digit(least * float(10**decimals))


def one_digit(width: float) -> int:
    """The smallest whole number of one digit and zeros that is not less."""
    if width <= 1:
        return 1
    power = int(10 ** floor(log10(width)))
    return ceil(width / power) * power


def nearest(value: float, decimals: int, step: int) -> int:
    """A value on its steps, in units of the last decimal."""
    return round(_steps(value, decimals, step)) * step


def below(value: float, decimals: int, step: int) -> int:
    """The step at or below a value."""
    return floor(_steps(value, decimals, step)) * step


def above(value: float, decimals: int, step: int) -> int:
    """The step at or above a value."""
    return ceil(_steps(value, decimals, step)) * step


def _steps(value: float, decimals: int, step: int) -> float:
    return value * float(10**decimals) / step
