"""The simulated window as day numbers: day 0 is 2022-01-01, and how busy each day is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from synthetic.bureau.arrays import Array, Reals

EPOCH = 18_993  # days from 1970-01-01 to 2022-01-01
YEARS = (2022, 2023, 2024, 2025)
YEAR_START = np.array([0, 365, 730, 1096, 1461])
DAYS = 1461
LINES_FROM = 365  # fee lines exist for what is settled from 2023 on

_DATES = np.datetime64("2022-01-01") + np.arange(DAYS + 400)
MONTH_OF = (_DATES.astype("datetime64[M]") - np.datetime64("2022-01")).astype(np.int64)
YEAR_OF = MONTH_OF // 12
_WEEKDAY = (np.arange(DAYS + 400) + 5) % 7  # 2022-01-01 was a Saturday; 0 is Monday

_OP = (0.98, 0.82, 1.05, 1.02, 1.02, 1.00, 1.02, 1.00, 0.99, 0.97, 1.03, 1.10)
_IP = (1.00, 0.83, 1.08, 1.02, 1.02, 0.99, 1.04, 1.02, 0.98, 0.95, 1.03, 1.04)
_WEEK = (1.20, 1.10, 1.08, 1.06, 1.10, 0.75, 0.60)
_SPRING = ("2022-01-31", "2023-01-21", "2024-02-10", "2025-01-28")


def day_of(date: str) -> int:
    """Day number of an ISO date."""
    return int((np.datetime64(date) - np.datetime64("2022-01-01")).astype(int))


def month_starts() -> Array:
    """Day number on which each of the 48 months begins, and the end of the last."""
    months = np.datetime64("2022-01") + np.arange(49)
    return (months.astype("datetime64[D]") - np.datetime64("2022-01-01")).astype(np.int64)


def _weights(months: tuple[float, ...], december: float) -> Reals:
    index = np.array(months)
    index = index / index.mean()
    index[11] *= december
    weights = index[MONTH_OF[:DAYS] % 12] * np.array(_WEEK)[_WEEKDAY[:DAYS]]
    for start in _SPRING:
        weights[day_of(start) : day_of(start) + 7] *= 0.45
    for year in YEARS:
        weights[day_of(f"{year}-10-01") : day_of(f"{year}-10-08")] *= 0.6
    for a, b in pairwise(YEAR_START):
        weights[a:b] *= (b - a) / weights[a:b].sum()
    return np.asarray(weights, dtype=np.float64)


def cumulated(weights: Reals) -> Reals:
    """Cumulated weight before each day, length DAYS + 1."""
    return np.concatenate([[0.0], np.cumsum(weights)])


OUTPATIENT = cumulated(_weights(_OP, 1.0))
INPATIENT = cumulated(_weights(_IP, 1.0))
PHARMACY = cumulated(_weights(_OP, 1.15))

# Share of activity by hour: peaks 8–11 and 14–16, nights (22–06) 3 %.
_HOURS = np.array(
    [3, 3, 3, 3, 4, 5, 40, 80, 170, 180, 150, 90, 50, 70, 140, 130, 90, 60, 45, 40, 30, 20, 13, 9]
)
HOUR_WEIGHTS = _HOURS / _HOURS.sum()


def seconds(rng: np.random.Generator, size: int) -> Array:
    """A time of day in seconds, busiest in the morning."""
    hours = np.searchsorted(np.cumsum(HOUR_WEIGHTS), rng.random(size), side="right")
    return np.minimum(hours, 23) * 3600 + rng.integers(0, 3600, size)
