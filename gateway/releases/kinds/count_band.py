"""`count_band`: the band in which the number of a cell's institutions lies."""

from __future__ import annotations

import numpy as np

from gateway.catalogue.kinds import CountBand
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import OK, ROUNDED, Figure


def count_band(define: CountBand, scene: Scene) -> Figure:
    """The place of each cell's band among the labels."""
    shown = scene.shown
    houses = shown.gather(lambda block: block.institutions)
    place = np.searchsorted(np.array(define.edges), houses, side="left")
    marks = np.where(shown.marks == ROUNDED, OK, shown.marks).astype(np.uint8)
    return Figure(place.astype(np.int64), marks, labels=define.labels)
