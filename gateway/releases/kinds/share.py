"""`share`: what part of a measure falls to some values of a dim, from published cells alone."""

from __future__ import annotations

import numpy as np

from gateway.catalogue.kinds import Ratio, Share
from gateway.releases.kernel import Bools, Ints
from gateway.releases.kinds.ratio import quotient
from gateway.releases.kinds.scene import Scene
from gateway.releases.shapes import dims_by_column
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure, Marks, Shown


def share(define: Share, scene: Scene) -> Figure:
    """The quotient of the two sums; a part that is not shown hides the share with it."""
    part = Ratio(kind="ratio", num=define.of, den=define.of, decimals=define.decimals)
    top = _added(define, scene, define.values)
    return quotient(part, top, _added(define, scene, define.among))


def _added(define: Share, scene: Scene, values: tuple[str, ...]) -> Figure:
    """The sum of the measure over the cells at these values of the dim."""
    shown, figure = scene.shown, scene.found[define.of]
    total = np.zeros(len(shown), np.int64)
    hidden = np.zeros(len(shown), np.bool_)
    missing = np.zeros(len(shown), np.bool_)
    for value in values:
        place = _place(define, shown, value)
        marks = np.where(place >= 0, figure.marks[place], SUPPRESSED)
        open_ = marks == ROUNDED
        total += np.where(open_, figure.values[place], 0)
        hidden |= marks == HIDDEN
        missing |= ~open_
    return Figure(total, _marks(shown.marks, hidden, missing), figure.scale)


def _marks(whole: Marks, hidden: Bools, missing: Bools) -> Marks:
    closed = np.where(hidden | (whole == HIDDEN), HIDDEN, SUPPRESSED)
    return np.where(missing | (whole != ROUNDED), closed, ROUNDED).astype(np.uint8)


def _place(define: Share, shown: Shown, value: str) -> Ints:
    """The cell that is this one with the dim at a value; -1 where none is shown."""
    plan = shown.table.plan
    order = list(dims_by_column(plan.service))
    domain = plan.domains[define.dim].values
    if value not in domain:
        return np.full(len(shown), -1, np.int64)
    return shown.related(
        lambda named: tuple(sorted((*named, define.dim), key=order.index)),
        np.arange(len(plan.periods)),
        {define.dim: domain.index(value)},
    )
