"""`trend`: a published figure against the one of three months before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.catalogue.kinds import Trend
from gateway.catalogue.kinds.trend import LABELS
from gateway.catalogue.model import Grain
from gateway.releases.facts import Period
from gateway.releases.kernel import Ints
from gateway.releases.kinds.late import Late, label_before
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import HIDDEN, OK, SUPPRESSED, Figure

_BACK = {Grain.MONTH: 3, Grain.QUARTER: 1}


def undecided(define: Trend, scene: Scene) -> Figure:
    """Within one season nothing is told yet: the period before may lie in another."""
    shown = scene.shown
    marks = np.where(shown.marks == HIDDEN, HIDDEN, SUPPRESSED).astype(np.uint8)
    return Figure(np.zeros(len(shown), np.int64), marks, labels=LABELS)


def trend(define: Trend, late: Late) -> Figure:
    """Where each cell's figure lies against its earlier one; both must be shown."""
    now = late.figure(define.of)
    before = late.moved(now, late.at_period(_earlier(late.layout.calendar)))
    steps = direction(now.values, before.values, int(define.margin * 10**now.scale))
    known = now.open & before.open
    closed = np.where((now.marks == HIDDEN) | (before.marks == HIDDEN), HIDDEN, SUPPRESSED)
    marks = np.where(known, OK, closed).astype(np.uint8)
    return Figure(np.where(known, steps, 0), marks, labels=LABELS)


def direction(now: Ints, before: Ints, margin: int) -> Ints:
    """0 for a fall, 1 for a change within the margin, 2 for a rise."""
    change = now - before
    return 1 + (change > margin).astype(np.int64) - (change < -margin)


def _earlier(calendar: Sequence[Period]) -> Ints:
    """For each period the number of the one three months before, -1 for none."""
    place = {(p.grain, p.label): i for i, p in enumerate(calendar)}
    found = [
        place.get((p.grain, label_before(p, _BACK[p.grain])), -1) if p.grain in _BACK else -1
        for p in calendar
    ]
    return np.array(found, np.int64)
