"""A monthly series carried on for a year: exponential smoothing, simulated paths, back-tests.

Pure: the same series gives the same outlook. statsmodels is read when the first series is fitted,
by a build, never by what serves.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from gateway.catalogue.kinds.forecast import HORIZON
from gateway.releases.kernel import Floats

SEED: Final = 20_260
PATHS: Final = 4000
ORIGINS: Final = (12, 9, 6, 3)
"""Months before the last one at which a back-test begins."""


@dataclass(frozen=True)
class Outlook:
    """The twelve months to come: their expected values and simulated courses, a row each; and the
    mean error of earlier forecasts ÷ actual, by months added up, where it can be told."""

    expected: Floats
    paths: Floats
    errors: dict[int, float]

    def summed(self, first: int, months: int) -> tuple[float, Floats]:
        """Expected value and simulated outcomes of neighbouring months together."""
        span = slice(first, first + months)
        return float(self.expected[span].sum()), np.asarray(self.paths[:, span].sum(axis=1))


@lru_cache(maxsize=512)
def outlook(series: tuple[int, ...], *, either_sign: bool = False) -> Outlook:
    """The year after a series of whole numbers, a month each. What was never below nought stays so,
    unless it may have either sign."""
    values = np.array(series, np.float64)
    size = float(np.abs(values).mean()) or 1.0
    fitted = _fitted(values / size)
    paths = fitted.simulate(
        HORIZON, anchor="end", repetitions=PATHS, rng=np.random.default_rng(SEED)
    )
    floor = 0.0 if values.min() >= 0 and not either_sign else -np.inf
    expected = np.maximum(np.asarray(fitted.forecast(HORIZON)) * size, floor)
    courses = np.maximum(np.asarray(paths).reshape(HORIZON, PATHS).T * size, floor)
    return Outlook(expected, courses, _errors(values / size, floor))


def _errors(values: Floats, floor: float) -> dict[int, float]:
    """By 1, 3 and 12 months added up: mean of |error| ÷ actual over all back-tests."""
    found: dict[int, list[float]] = {1: [], 3: [], 12: []}
    for origin in ORIGINS:
        told = np.maximum(np.asarray(_fitted(values[:-origin]).forecast(origin)), floor)
        for months, errors in found.items():
            cuts = range(0, origin + 1, months)
            for a, b in pairwise(cuts):
                actual = float(values[-origin:][a:b].sum())
                if actual > 0:
                    errors.append(abs(float(told[a:b].sum()) - actual) / actual)
    return {months: float(np.mean(errors)) for months, errors in found.items() if errors}


def _fitted(values: Floats) -> Any:  # results of statsmodels, which has no types
    from statsmodels.tsa.exponential_smoothing.ets import (  # noqa: PLC0415 - two seconds that only a build with a forecast pays
        ETSModel,
    )

    model = ETSModel(
        values,
        error="add",
        trend="add",
        damped_trend=True,
        seasonal="add",
        seasonal_periods=12,
        initialization_method="heuristic",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit at the edge of its bounds is a fit
        return model.fit(disp=False)
