"""What an evaluator works on: the shown cells of one season, rounding, the figures made so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.releases.kernel import Floats, Ints
from gateway.releases.sdc import Profile, round_count, round_significant
from gateway.releases.shown import HIDDEN, ROUNDED, SUPPRESSED, Figure, Marks, Shown


@dataclass(frozen=True)
class Rules:
    """How figures are rounded: thresholds of the profile and the bureau's rounding key."""

    profile: Profile
    key: bytes

    def count(self, values: Ints, floor: int = 0) -> Ints:
        return round_count(values, self.profile.count("count_round"), self.key, floor)

    def amount(self, values: Ints) -> Ints:
        return round_significant(values, self.profile.count("amount_sig_digits"))


@dataclass(frozen=True)
class Scene:
    """The cells to give a figure to, the rounding, and the figures of the parts."""

    shown: Shown
    rules: Rules
    found: Mapping[str, Figure]

    def scale(self, fact: str, column: str) -> int:
        """Decimals of a fact's column."""
        return self.shown.table.plan.facts[fact].scales[column]

    def marked(self, held: npt.NDArray[np.bool_]) -> Marks:
        """Marks of cells, a figure that does not hold by itself being suppressed."""
        marks = self.shown.marks
        return np.where(held | (marks != ROUNDED), marks, SUPPRESSED).astype(np.uint8)

    def each(
        self,
        fact: str,
        column: str,
        read: Callable[[Ints, Ints], tuple[Ints, npt.NDArray[np.bool_]]],
    ) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """A figure from each cell's records; it holds only where these come from k persons."""
        values = np.zeros(len(self.shown), np.int64)
        held = np.zeros(len(self.shown), np.bool_)
        for block, part, own in self.shown.by_block:
            records = block.records.get((fact, column))
            if records is not None and len(records.values):
                value, holds = read(records.values, records.starts)
                values[part] = value[own]
                held[part] = (holds & (records.persons >= self.rules.profile.k))[own]
        return values, held


def nearest(values: Ints, divisor: int) -> Ints:
    """Whole quotient, half away from zero."""
    size: Ints = (2 * np.abs(values) + divisor) // (2 * divisor)
    return np.sign(values) * size


def sums(values: Floats, starts: Ints) -> Floats:
    """Sum of each range; empty ranges are 0."""
    total = np.zeros(len(starts) - 1)
    filled = np.flatnonzero(np.diff(starts) > 0)
    total[filled] = np.add.reduceat(values, starts[:-1][filled])
    return total


def moved(raw: Figure, place: Ints, shown: Shown) -> Figure:
    """A figure read at other cells; cells that are not shown are suppressed."""
    there = place >= 0
    values = np.where(there, raw.values[place], 0) if len(raw.values) else raw.values
    marks = np.where(there, raw.marks[place], SUPPRESSED) if len(raw.marks) else raw.marks
    marks = np.where(shown.marks == HIDDEN, HIDDEN, marks)
    return Figure(values, marks.astype(np.uint8), raw.scale, raw.labels)
