"""`average`: the mean of a cell's records, of k persons at least.

A mean beside its number gives their sum, so it is held to what a sum is: k persons, and no record
with more than half of it.
"""

from __future__ import annotations

import numpy as np

from gateway.catalogue.kinds import Average
from gateway.releases.kernel import Bools, Ints
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure


def average(define: Average, scene: Scene) -> Figure:
    """The mean of each cell, or the number of records it is of."""
    values, held = scene.each(define.fact, define.column, mean_of)
    marks = scene.marked(held)
    if define.part == "n":
        counts, _ = scene.each(define.fact, define.column, number_of)
        return Figure(scene.rules.count(counts, scene.rules.profile.k), marks)
    return Figure(scene.rules.amount(values), marks, scene.scale(define.fact, define.column))


def mean_of(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
    """Nearest mean of each range of ascending values, and whether none of them is most of it."""
    count = np.diff(starts)
    running = np.append(0, np.cumsum(values))
    total = running[starts[1:]] - running[starts[:-1]]
    largest = np.where(count > 0, values[np.maximum(starts[1:] - 1, 0)], 0)
    one = np.maximum(count, 1)
    held = (count > 0) & (total >= 0) & ((2 * largest <= total) | (total == 0))
    return (2 * total + one) // (2 * one), held


def number_of(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
    """How many values each range has."""
    count = np.diff(starts).astype(np.int64)
    return count, count > 0
