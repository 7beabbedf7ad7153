"""Intervals by propagation: each row bounds each of its members by those of the others, until
nothing moves.

Every bound found is one that a reader can derive row by row. A programme over all rows at once may
find tighter ones (`gateway.releases.attack.program`), never wider. The cost is that of reading the
system a few times, so this is done for all that is published, whatever its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from gateway.releases.attack.space import Bools, Floats, Ints
from gateway.releases.attack.system import EQUAL, System

_SWEEPS = 100
_EPS = 1e-7
_MOST = 60
_CLOSE = 1e-6


@dataclass(frozen=True)
class Bounds:
    """The interval of each unknown; `moved` are (unknown, row) for every bound a row ever gave."""

    system: System
    low: Floats
    high: Floats
    moved: Ints

    @property
    def contradict(self) -> Bools:
        """Unknowns that no number fits."""
        found: Bools = self.low > self.high + 1e-4 * np.maximum(1.0, np.abs(self.high))
        return found

    def needed(self, unknown: int) -> Ints:
        """A smallest set of rows from which the interval of an unknown follows by propagation."""
        kept = self._lines(unknown)
        if kept.size <= _MOST:
            for line in kept.tolist():
                fewer = kept[kept != line]
                if self._suffice(fewer, unknown):
                    kept = fewer
        return kept

    def _lines(self, unknown: int) -> Ints:
        """The rows from which the interval of an unknown follows, with all they rest on."""
        todo, found, seen = [unknown], set[int](), {unknown}
        while todo and len(found) <= _MOST:
            at = todo.pop(0)
            first, last = np.searchsorted(self.moved[:, 0], [at, at + 1])
            for line in sorted({*self.moved[first:last, 1].tolist()} - found):
                found.add(line)
                row = self.system.rows[line]
                fresh = sorted({*row.left, *row.right} - seen)
                seen.update(fresh)
                todo += fresh
        return np.array(sorted(found), np.int64)

    def _suffice(self, lines: Ints, unknown: int) -> bool:
        alone = tightened(self.system, lines)
        slack = _CLOSE * max(1.0, abs(float(self.low[unknown])))
        return bool(
            alone.low[unknown] >= self.low[unknown] - slack
            and alone.high[unknown] <= self.high[unknown] + slack
        )


def tightened(system: System, lines: Ints | None = None) -> Bounds:
    """The bounds from what is published, by all rows or some; only rows of what moved last are
    read again."""
    low, high, moved = system.low.copy(), system.high.copy(), [np.zeros((0, 2), np.int64)]
    of = np.arange(len(system.rows)) if lines is None else lines
    part = system.matrix[of]
    columns, senses = part.tocsc(), system.senses[of]
    again = np.arange(of.size)
    for _ in range(_SWEEPS):
        if not again.size:
            break
        unknown, row = _sweep(part[again], senses[again], low, high)
        moved.append(np.stack([unknown, of[again[row]]], axis=1))
        again = np.unique(columns[:, np.unique(unknown)].indices)
    pairs = np.concatenate(moved)
    return Bounds(system, low, high, pairs[np.argsort(pairs[:, 0], kind="stable")])


def _sweep(part: csr_matrix, senses: Ints, low: Floats, high: Floats) -> tuple[Ints, Ints]:
    """Every bound that some rows give, in place; unknowns and rows of those that moved one."""
    row = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
    unknown, sign = part.indices.astype(np.int64), part.data
    one, other = sign * low[unknown], sign * high[unknown]
    least, most = np.where(sign > 0, one, other), np.where(sign > 0, other, one)
    # Σ = 0 (≤ 0): a member is at most what the least of the others leaves it, and in an equation
    # at least what the most of them does.
    above = -_others(row, least, -np.inf)
    below = -_others(row, most, np.inf)
    below[(senses != EQUAL)[row]] = -np.inf
    up, down = np.where(sign > 0, above, -below), np.where(sign > 0, below, -above)
    falls, rises = up < high[unknown] - _step(up), down > low[unknown] + _step(down)
    np.minimum.at(high, unknown[falls], up[falls])
    np.maximum.at(low, unknown[rises], down[rises])
    gave = (falls & (up <= high[unknown])) | (rises & (down >= low[unknown]))
    return unknown[gave], row[gave]


def _step(bound: Floats) -> Floats:
    """What a bound must move at least: smaller steps would never end."""
    size = np.abs(bound)
    found: Floats = _EPS * np.maximum(1.0, np.where(np.isinf(size), 1.0, size))
    return found


def _others(row: Ints, value: Floats, endless: float) -> Floats:
    """Of each member, the sum of the other members of its row; `endless` where one of them is."""
    count = int(row[-1]) + 1 if row.size else 0
    without = np.isinf(value)
    fixed = np.where(without, 0.0, value)
    total = np.bincount(row, fixed, count)[row] - fixed
    many = np.bincount(row, without, count)[row] - without
    found: Floats = np.where(many > 0.5, endless, total)
    return found
