"""`sum`: a column added up, rounded by its style."""

from __future__ import annotations

from typing import Final

from gateway.catalogue.kinds import Sum
from gateway.releases.kinds.scene import Scene, nearest
from gateway.releases.shown import Figure

_DAYS_IN_4_YEARS: Final = 1461


def summed(define: Sum, scene: Scene) -> Figure:
    """The sum of each cell: money to significant digits, counts to the count base."""
    shown, rules = scene.shown, scene.rules
    name = (define.fact, define.column)
    raw = shown.gather(lambda block: block.sums.get(name))
    scale = scene.scale(define.fact, define.column)
    if define.style == "amount":
        return Figure(rules.amount(raw), shown.marks, scale)
    if define.style == "person_time":
        raw = nearest(raw * 4, _DAYS_IN_4_YEARS)
    return Figure(rules.count(nearest(raw, 10**scale)), shown.marks)
