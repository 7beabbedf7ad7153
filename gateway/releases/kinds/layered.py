"""`layer` and `excess`: stop-loss figures from published persons and amounts by band.

Made of the rounded figures of published cells and of nothing else: they disclose nothing more. The
price is that rounding of the parts shows: an amount in a layer is kept between nothing and what the
persons who reach it can have there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.catalogue.kinds import Excess, Layered
from gateway.releases.kernel import Ints
from gateway.releases.kinds.along import rows_along
from gateway.releases.kinds.linear import worst
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure


def layer(define: Layered, scene: Scene) -> Figure:
    """The amount that lies in each cell's band, of all who reach it."""
    parts = [scene.found[name] for name in (define.amount, define.persons, define.reached)]
    amount, inside, reached = (part.values for part in parts)
    low, high = _edges(scene, define.along, define.lower)
    unit = 10 ** parts[0].scale
    width = np.where(high < 0, 0, high - low) * unit
    raw = amount - inside * low * unit + (reached - inside) * width
    most = np.where(high < 0, np.maximum(raw, 0), reached * width)
    held = np.logical_and.reduce([*(part.open for part in parts), low >= 0])
    value = scene.rules.amount(np.where(held, np.clip(raw, 0, most), 0))
    return Figure(value, worst(parts, held), parts[0].scale)


def excess(define: Excess, scene: Scene) -> Figure:
    """What those who reach the lower edge have above it, on average."""
    parts = [scene.found[name] for name in (define.amount, define.reached)]
    amount, reached = (part.values for part in parts)
    low, _ = _edges(scene, define.along, define.lower)
    held = np.logical_and.reduce([*(part.open for part in parts), low >= 0, reached > 0])
    mean = _quotients(np.where(held, amount, 0), np.maximum(reached, 1))
    over = np.maximum(mean - low * 10 ** parts[0].scale, 0)
    value = scene.rules.amount(np.where(held, over, 0))
    return Figure(value, worst(parts, held), parts[0].scale)


def _quotients(values: Ints, divisors: Ints) -> Ints:
    """Whole quotients, each by its own positive divisor, half away from zero."""
    size: Ints = (2 * np.abs(values) + divisors) // (2 * divisors)
    return np.sign(values) * size


def _edges(scene: Scene, along: str, lower: Mapping[str, int]) -> tuple[Ints, Ints]:
    """Lower and upper edge of each cell's band; −1 for no band, and for no upper edge."""
    low = np.full(len(scene.shown), -1, np.int64)
    high = np.full(len(scene.shown), -1, np.int64)
    for row in rows_along(scene.shown, along):
        edges = np.array([*(lower[value] for value in row.values), -1], np.int64)
        band = np.minimum(row.band, len(row.values))
        low[row.part] = edges[band]
        high[row.part] = edges[np.minimum(band + 1, len(row.values))]
    return low, high
