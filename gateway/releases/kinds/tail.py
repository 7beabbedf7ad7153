"""`pareto` and `top_share`: what the largest records of a cell are like.

Statistics of many records: a fit to at least 30 of at least 500, a share of k or more. Neither
gives a single value; the threshold is rounded, its count is rounded as every count is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from gateway.catalogue.kinds import Pareto, TopShare
from gateway.releases.kernel import Bools, Ints
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure

_DECIMALS: Final = 2
_LEAST: Final = 30  # records above the threshold


def pareto(define: Pareto, scene: Scene) -> Figure:
    """One part of the fit, in the cells that have one."""

    def read(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
        fits = [
            hill(values[a:b], define.tail_per_mille) if b - a >= define.min_n else None
            for a, b in pairwise(starts.tolist())
        ]
        least = max(_LEAST, scene.rules.profile.k)
        held = np.array([fit is not None and fit[2] >= least for fit in fits], np.bool_)
        part = ("alpha", "threshold", "n").index(define.part)
        return np.array([fit[part] if fit else 0 for fit in fits], np.int64), held

    values, held = scene.each(define.fact, define.column, read)
    if define.part == "n":
        return Figure(scene.rules.count(values, scene.rules.profile.k), scene.marked(held))
    scale = scene.scale(define.fact, define.column) if define.part == "threshold" else _DECIMALS
    return Figure(values, scene.marked(held), scale)


def hill(values: Ints, tail_per_mille: int) -> tuple[int, int, int] | None:
    """α in hundredths, threshold and records above it; of ascending values. None without a tail."""
    floor = int(values[-1 - len(values) * tail_per_mille // 1000])
    if floor <= 0:
        return None
    step = 10 ** max(len(str(floor)) - 2, 0)
    threshold = -(-floor // step) * step
    above = values[values > threshold]
    logs = float(np.log(above.astype(np.float64) / threshold).sum())
    return (round(100 * len(above) / logs), threshold, len(above)) if logs > 0 else None


def top_share(define: TopShare, scene: Scene) -> Figure:
    """The share of the largest records, in hundredths."""
    k = scene.rules.profile.k

    def read(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
        found = [
            share_of_largest(values[a:b], define.percent, k) for a, b in pairwise(starts.tolist())
        ]
        held = np.array([share is not None for share in found], np.bool_)
        return np.array([share or 0 for share in found], np.int64), held

    values, held = scene.each(define.fact, define.column, read)
    return Figure(values, scene.marked(held), _DECIMALS)


def share_of_largest(values: Ints, percent: int, k: int) -> int | None:
    """In hundredths, of ascending values; None where it is not told."""
    top = values[len(values) - round(len(values) * percent / 100) :]
    whole, part = int(values.sum()), int(top.sum())
    if len(top) < k or part <= 0 or 2 * int(top[-1]) > part:
        return None
    return round(100 * part / whole)
