"""`cv`: SD ÷ mean of a cell's records."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.catalogue.kinds import Variation
from gateway.releases.kernel import Ints
from gateway.releases.kinds.scene import Scene, sums
from gateway.releases.shown import Figure

_DECIMALS: Final = 2


def variation(define: Variation, scene: Scene) -> Figure:
    """The coefficient of variation, where there are records enough."""

    def read(values: Ints, starts: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        return _coefficient(values, starts, define.min_n)

    values, held = scene.each(define.fact, define.column, read)
    return Figure(values, scene.marked(held), _DECIMALS)


def _coefficient(values: Ints, starts: Ints, min_n: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """SD ÷ mean of each cell in hundredths; sorted input keeps the float sums reproducible."""
    count = np.diff(starts)
    one = np.maximum(count, 1)
    mean = sums(values.astype(np.float64), starts) / one
    spread = sums(np.square(values - np.repeat(mean, count)), starts) / np.maximum(one - 1, 1)
    held = (count >= min_n) & (mean > 0)
    cv = np.divide(np.sqrt(spread), mean, out=np.zeros(len(mean)), where=held)
    return np.rint(cv * 10**_DECIMALS).astype(np.int64), held
