"""PT9: two groups whose cost varies as planned among the stays that are not outliers.

A coefficient of variation of 1.32 cannot survive trimming at 0.4 and 3 times the standard of one
hospital level: there it is below 1.19. So the planted groups differ between levels too, and inside
a level their stays are either plain or costly, all within the trimming bounds of that level.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synthetic.bureau.arrays import Array, Ints, Reals, ranks, stream
from synthetic.bureau.days import MONTH_OF
from synthetic.bureau.enrolment import Units
from synthetic.bureau.grouping import adrgs
from synthetic.bureau.settings import RESIDENT, Run
from synthetic.bureau.stays import Stays

WIDE_GROUP, NARROWING_GROUP = "IU2", "GW1"
WIDE_CV, NARROW_CV = 1.32, 0.98
_NARROWING = (12, 16)  # quarters: 2025, in four equal steps
_LEVELS = np.array([2.0, 0.48, 0.24, 0.24])  # mean cost of a level ÷ that of the group
_PLAIN, _COSTLY = (0.45, 0.60), (2.30, 2.85)  # ÷ mean of the level
_MOST = 1.04  # widest stretch that stays inside the trimming bounds


def planted_spread(run: Run, units: Units, stays: Stays) -> Stays:
    """Costs of both groups set anew; the others of a scheme and level keep its mean cost."""
    rng = stream(run.seed, "spread", run.cohort)
    cost = stays.cost.copy()
    adrg = adrgs(stays)
    quarter = MONTH_OF[stays.end] // 3
    planted = np.isin(adrg, (WIDE_GROUP, NARROWING_GROUP))
    for name in (WIDE_GROUP, NARROWING_GROUP):
        mine = np.flatnonzero(adrg == name)
        base, shape = _drawn(rng, stays, mine, quarter[mine])
        for q in np.unique(quarter[mine]):
            now = quarter[mine] == q
            stretch = _stretch(base[now], shape[now], _target(name, int(q)))
            base[now] *= 1 + stretch * (shape[now] - 1)
        cost[mine] = base * (cost[mine].sum() / max(base.sum(), 1.0))
    cell = (units.group[stays.unit] == RESIDENT) * 4 + stays.level
    whole = np.bincount(cell, weights=stays.cost, minlength=8)
    fixed = np.bincount(cell[planted], weights=cost[planted], minlength=8)
    others = np.bincount(cell[~planted], weights=stays.cost[~planted], minlength=8)
    scale = (whole - fixed) / np.maximum(others, 1.0)
    cost[~planted] *= scale[cell[~planted]]
    return replace(stays, cost=cost)


def _target(name: str, quarter: int) -> float:
    first, last = _NARROWING
    if name == WIDE_GROUP or quarter < first:
        return WIDE_CV
    done = min(quarter + 1 - first, last - first) / (last - first)
    return WIDE_CV + (NARROW_CV - WIDE_CV) * done


def _drawn(
    rng: np.random.Generator, stays: Stays, mine: Array, quarter: Ints
) -> tuple[Reals, Reals]:
    """(mean of the level, multiple of it) of each stay: dear before are dear now."""
    level = stays.level[mine]
    cell = quarter * 4 + level
    order = np.lexsort((stays.cost[mine], cell))
    size = np.bincount(cell)[cell]
    place = np.empty(len(mine))
    place[order] = ranks(cell[order])
    offset = rng.random(int(cell.max(initial=0)) + 1)[cell]
    return _LEVELS[level], _shape((place + offset) / size)


def _shape(share: Reals) -> Reals:
    """Multiple of the level's mean by rank: plain stays below the break, costly ones above."""
    plain, costly = np.mean(_PLAIN), np.mean(_COSTLY)
    cut = (costly - 1) / (costly - plain)  # so that the mean is one
    low = _PLAIN[0] + (_PLAIN[1] - _PLAIN[0]) * share / cut
    high = _COSTLY[0] + (_COSTLY[1] - _COSTLY[0]) * (share - cut) / (1 - cut)
    return np.where(share < cut, low, high)


def _stretch(base: Reals, shape: Reals, target: float) -> float:
    """How far to stretch the shape about one so that the stays vary as wanted."""
    low, high = 0.0, _MOST
    for _ in range(40):
        middle = (low + high) / 2
        trial = base * (1 + middle * (shape - 1))
        low, high = (middle, high) if trial.std() < target * trial.mean() else (low, middle)
    return low
