"""`band`: the band a value lies in."""

from __future__ import annotations

import numpy as np

from gateway.catalogue.kinds import Banded
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import OK, ROUNDED, Figure


def banded(define: Banded, scene: Scene) -> Figure:
    """The place of each cell's band among the labels."""
    shown = scene.shown
    index = np.zeros(len(shown))
    for block, part, own in shown.by_block:
        squares = block.squares.get(define.stat)
        if squares is not None:
            whole = np.maximum(block.magnitude[own].astype(np.float64), 1.0)
            index[part] = squares[own] / whole**2
    place = np.searchsorted(np.array(define.edges), index, side="left")
    marks = np.where(shown.marks == ROUNDED, OK, shown.marks).astype(np.uint8)
    return Figure(place.astype(np.int64), marks, labels=define.labels)
