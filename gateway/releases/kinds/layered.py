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
    low, high = _edges(scene, define.along, define.lower, 10 ** parts[0].scale)
    held = np.logical_and.reduce([*(part.open for part in parts), low >= 0])
    value = np.where(held, within(amount, inside, reached, low, high), 0)
    return Figure(scene.rules.amount(value), worst(parts, held), parts[0].scale)


def within(amount: Ints, inside: Ints, reached: Ints, low: Ints, high: Ints) -> Ints:
    """Σ min(max(x − low, 0), high − low) over all who reach `low`; `high` is −1 for no upper edge.

    Those above the band fill it; those inside have `amount` together.
    """
    width = np.where(high < 0, 0, high - low)
    raw = amount - inside * low + (reached - inside) * width
    most = np.where(high < 0, np.maximum(raw, 0), reached * width)
    kept: Ints = np.clip(raw, 0, most)
    return kept


def excess(define: Excess, scene: Scene) -> Figure:
    """What those who reach the lower edge have above it, on average."""
    parts = [scene.found[name] for name in (define.amount, define.reached)]
    low, _ = _edges(scene, define.along, define.lower, 10 ** parts[0].scale)
    held = np.logical_and.reduce([*(part.open for part in parts), low >= 0, parts[1].values > 0])
    value = np.where(held, mean_above(parts[0].values, parts[1].values, low), 0)
    return Figure(scene.rules.amount(value), worst(parts, held), parts[0].scale)


def mean_above(amount: Ints, reached: Ints, low: Ints) -> Ints:
    """amount ÷ reached − low, nearest and never below nothing; of nobody it means nothing."""
    persons = np.maximum(reached, 1)
    mean: Ints = np.maximum((2 * amount + persons) // (2 * persons) - low, 0)
    return mean


def _edges(scene: Scene, along: str, lower: Mapping[str, int], unit: int) -> tuple[Ints, Ints]:
    """Lower and upper edge of each cell's band; −1 for no band, and for no upper edge."""
    low = np.full(len(scene.shown), -1, np.int64)
    high = np.full(len(scene.shown), -1, np.int64)
    for row in rows_along(scene.shown, along):
        edges = np.array([*(unit * lower[value] for value in row.values), -1], np.int64)
        band = np.minimum(row.band, len(row.values))
        low[row.part] = edges[band]
        high[row.part] = edges[np.minimum(band + 1, len(row.values))]
    return low, high
