"""`linear`: published figures added and subtracted.

Made of the rounded figures of the same cell and of nothing else: it discloses nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.catalogue.kinds import Linear
from gateway.releases.kernel import Bools
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure, Marks


def linear(define: Linear, scene: Scene) -> Figure:
    """The sum of the parts, to as many decimals as the finest of them."""
    parts = [scene.found[name] for name in define.terms]
    scale = max(part.scale for part in parts)
    held = np.logical_and.reduce([part.open for part in parts])
    total = np.zeros(len(held), np.int64)
    for part, factor in zip(parts, define.terms.values(), strict=True):
        total += factor * part.values * 10 ** (scale - part.scale)
    return Figure(np.where(held, total, 0), worst(parts, held), scale)


def worst(parts: Sequence[Figure], held: Bools) -> Marks:
    """Rounded where the figure holds; else hidden if a part is hidden, else suppressed."""
    hidden = np.logical_or.reduce([part.marks == HIDDEN for part in parts])
    return np.where(held, ROUNDED, np.where(hidden, HIDDEN, SUPPRESSED)).astype(np.uint8)
