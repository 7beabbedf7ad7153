"""`survival` and `proportion`: statistics of a cell's records, worked out for all cells at once.

Of records sorted by time the i-th of n leaves n − i at risk, so that the estimate is a product and
Greenwood's sum a sum over single records, ties included: (m − 1) ÷ m and 1 ÷ m(m − 1) telescope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.catalogue.kinds import Proportion, Survival
from gateway.releases.kernel import Bools, Floats, Ints
from gateway.releases.kinds.scene import Scene, sums
from gateway.releases.shown import Figure

_DECIMALS: Final = 2
_NORMAL: Final = 1.959963984540054  # two-sided 95 %
_MANY, _NEARLY_ALL = 100, 0.9  # SPEC 4.3.1: of fewer records nothing that holds for nearly all


@dataclass(frozen=True)
class Curve:
    """The estimate of each cell on one day, its standard error, and how many are followed on."""

    survival: Floats
    error: Floats
    followed: Ints
    records: Ints


def survival(define: Survival, scene: Scene) -> Figure:
    """One part of the estimate, in the cells that may have one."""
    k = scene.rules.profile.k

    def read(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
        curve = kaplan_meier(values, starts, define.at)
        return hundredths(curve, define.part), told(curve, k)

    values, held = scene.each(define.fact, define.column, read)
    return Figure(values, scene.marked(held), _DECIMALS)


def hundredths(curve: Curve, part: str) -> Ints:
    """The estimate or a limit of its interval, nearest."""
    beside = {"point": 0.0, "low": -_NORMAL, "high": _NORMAL}[part]
    limit = np.clip(curve.survival + beside * curve.error, 0, 1)
    return np.rint(limit * 10**_DECIMALS).astype(np.int64)


def kaplan_meier(values: Ints, starts: Ints, at: int) -> Curve:
    """The curves of all cells on day `at`; of ascending values, twice the days or one more."""
    count = np.diff(starts)
    risk = np.repeat(count, count) - (np.arange(len(values)) - np.repeat(starts[:-1], count))
    ends = (values % 2 == 0) & (values <= 2 * at)
    last = ends & (risk == 1)
    usual = ends & (risk > 1)
    rest = np.maximum(risk - 1, 1)
    logs = sums(np.where(usual, np.log(rest / np.maximum(risk, 1)), 0.0), starts)
    spread = sums(np.where(usual, 1.0 / (risk * rest), 0.0), starts)
    alive = np.where(sums(last.astype(np.float64), starts) > 0, 0.0, np.exp(logs))
    followed = sums((values > 2 * at).astype(np.float64), starts).astype(np.int64)
    return Curve(alive, alive * np.sqrt(spread), followed, count)


def told(curve: Curve, k: int) -> Bools:
    """Where the curve is known well enough and says nothing of nearly everybody in a small cell."""
    extreme = (curve.survival > _NEARLY_ALL) | (curve.survival < 1 - _NEARLY_ALL)
    found: Bools = (curve.followed >= k) & ~(extreme & (curve.records < _MANY))
    return found


def proportion(define: Proportion, scene: Scene) -> Figure:
    """The mean of each cell."""
    unit = 10 ** scene.scale(define.fact, define.column)
    least = scene.rules.profile.k

    def read(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
        return means(values, starts, unit, least=least, both_sides=define.both_sides)

    values, held = scene.each(define.fact, define.column, read)
    return Figure(values, scene.marked(held), _DECIMALS)


def means(
    values: Ints, starts: Ints, unit: int, *, least: int, both_sides: bool
) -> tuple[Ints, Bools]:
    """The mean of each range in hundredths, half up, and whether it is told."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    count, total = np.diff(starts), running[starts[1:]] - running[starts[:-1]]
    held = count >= least
    if both_sides:
        held &= (total >= least * unit) & (count * unit - total >= least * unit)
    whole = np.maximum(count, 1) * unit
    return (2 * 10**_DECIMALS * total + whole) // (2 * whole), held
