"""`cumulative`: a published figure added up over a band and all above it.

Made of the rounded figures of published cells and of nothing else: it discloses nothing more. Where
a band above is not published, nor is the sum.
"""

from __future__ import annotations

import numpy as np

from gateway.catalogue.kinds import Cumulative
from gateway.releases.kinds.along import rows_along, upwards
from gateway.releases.kinds.linear import worst
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure


def cumulative(define: Cumulative, scene: Scene) -> Figure:
    """The sums, each of cells of one place, period and level."""
    part = scene.found[define.of]
    values = np.zeros(len(scene.shown), np.int64)
    held = np.zeros(len(scene.shown), np.bool_)
    for row in rows_along(scene.shown, define.along):
        values[row.part], held[row.part] = upwards(row, part.values[row.part], part.open[row.part])
    return Figure(np.where(held, values, 0), worst([part], held), part.scale)
