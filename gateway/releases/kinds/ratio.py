"""`ratio`: one published figure over another, in the same season or years apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gateway.catalogue.kinds import Ratio
from gateway.releases.kernel import Ints
from gateway.releases.kinds.late import Late, years_before
from gateway.releases.kinds.scene import Scene, moved
from gateway.releases.sdc import ratio as divided
from gateway.releases.shapes import rolled_over
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure, Marks, Shown


def ratio(define: Ratio, scene: Scene) -> Figure:
    """The quotient of the parts as they are published in this season."""
    num, den = scene.found[define.num], scene.found[define.den]
    if define.over or define.lag_years:
        den = moved(den, _denominators(scene.shown, define), scene.shown)
    return quotient(define, num, den)


def ratio_to_former(define: Ratio, late: Late) -> Figure:
    """The quotient with the denominator of an earlier year."""
    den = late.moved(late.figure(define.den), late.years_before(define.lag_years))
    return quotient(define, late.figure(define.num), den)


def quotient(define: Ratio, num: Figure, den: Figure) -> Figure:
    """A ratio of two published figures of the same cells."""
    open_ = num.open & den.open
    top = np.where(open_, num.values, 0) * 10**den.scale
    bottom = np.where(open_, den.values, 0) * (define.divisor * 10**num.scale)
    value = divided(top, bottom, define.scale, define.decimals)
    held = open_ & ~np.isnan(value)
    whole = np.rint(np.where(held, value, 0) * 10**define.decimals).astype(np.int64)
    whole -= 10**define.decimals if define.minus_one else 0
    return Figure(whole, _worse(num.marks, den.marks, held), define.decimals)


def _worse(num: Marks, den: Marks, held: npt.NDArray[np.bool_]) -> Marks:
    """A ratio is rounded where it holds; else it is hidden as its hidden part is."""
    hidden = np.where((num == HIDDEN) | (den == HIDDEN), HIDDEN, SUPPRESSED)
    return np.where(held, ROUNDED, hidden).astype(np.uint8)


def _denominators(shown: Shown, define: Ratio) -> Ints:
    plan = shown.table.plan
    place = {(p.grain, p.label): i for i, p in enumerate(plan.periods)}
    earlier = [place.get(years_before(p, define.lag_years), -1) for p in plan.periods]
    return shown.related(
        lambda named: rolled_over(plan.service, tuple(named), define.over),
        np.array(earlier, np.int64),
        {},
    )
