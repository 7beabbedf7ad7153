"""`quantile`: a percentile of a cell's records."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gateway.catalogue.kinds import Quantile
from gateway.releases.kernel import Ints
from gateway.releases.kinds.scene import Scene
from gateway.releases.sdc import percentile
from gateway.releases.shown import Figure


def quantile(define: Quantile, scene: Scene) -> Figure:
    """The percentile, where the profile allows it for so many records."""

    def read(values: Ints, starts: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        return percentile(values, starts, define.p, scene.rules.profile)

    values, held = scene.each(define.fact, define.column, read)
    scale = scene.scale(define.fact, define.column)
    return Figure(scene.rules.amount(values), scene.marked(held), scale)
