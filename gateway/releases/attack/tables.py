"""One measure of one service in one season: which cells there are, what is known of each.

The cells: all that have a row, and all that would lie below a published one. The latter have no
row because they failed a test of their own, or because nothing is in them; no reader can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.catalogue.model import Measure
from gateway.releases.attack.reading import Told
from gateway.releases.attack.space import Floats, Ints, Space, answered

SHOWN, SPARED, BARE = 0, 1, 2
"""A published cell; one hidden though it passed its own tests; one without a row. Readers see one
mark for the last two: a cell of the second kind is no secret of its own, and tells no more."""


@dataclass(frozen=True)
class Family:
    """Cells and the one they add up to, by place in a table. `whole`: nothing else is in it;
    `apart`: nobody is in two of them."""

    parent: int
    kids: tuple[int, ...]
    whole: bool
    apart: bool


@dataclass(frozen=True)
class Rules:
    """The thresholds by which a profile hides a cell for what is in it."""

    k: int
    institutions: float
    exposure: float
    makers: float

    def __le__(self, other: Rules) -> bool:
        """Whether this profile hides no more than the other does."""
        return (
            self.k <= other.k
            and self.institutions <= other.institutions
            and self.exposure <= other.exposure
            and self.makers <= other.makers
        )


@dataclass(frozen=True)
class Tables:
    """The cells (sorted by key) with what is known of each, and the families among them."""

    space: Space
    measure: Measure
    keys: Ints
    state: Ints
    value: Floats  # NaN where none is published
    low: Floats
    high: Floats
    least: int  # k of the weakest profile
    base: Ints  # of each figure, as it is told
    rules: Rules  # of the weakest profile

    @property
    def persons(self) -> bool:
        return self.measure.define.kind == "persons"

    @cached_property
    def codes(self) -> Ints:
        return self.space.codes(self.keys)

    def find(self, keys: Ints) -> Ints:
        """Places of cells, -1 where there is none."""
        if not self.keys.size:
            return np.full(keys.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[at] == keys, at, -1)

    @cached_property
    def families(self) -> list[Family]:
        """Every cell with those one step below it on one axis, as far as the table has them."""
        found = []
        for parents, at, kids in _steps(self.space, self.measure, self.keys):
            axis = self.space.axes[at]
            place = self.find(kids)
            bounds = np.flatnonzero(np.diff(parents, prepend=-1)).tolist()
            for first, last in zip(bounds, [*bounds[1:], parents.size], strict=True):
                own = place[first:last]
                inside = own[own >= 0]
                if inside.size:
                    whole = axis.covers and inside.size == own.size
                    apart = axis.alone or not self.persons
                    kin = tuple(inside.tolist())
                    found.append(Family(int(parents[first]), kin, whole, apart))
        return found

    def text(self, at: int) -> str:
        return self.space.text(int(self.keys[at]))


def tables_of(space: Space, measure: Measure, given: Sequence[Told], rules: Rules) -> Tables:
    """Everything that profiles and releases with the same truth tell of a measure, pooled."""
    keys = np.unique(np.concatenate([one.keys for one in given] or [np.zeros(0, np.int64)]))
    low, high = np.full(keys.size, -np.inf), np.full(keys.size, np.inf)
    value, base = np.full(keys.size, np.nan), np.zeros(keys.size, np.int64)
    for one in sorted(given, key=lambda told: told.base):  # the finest rounding first
        at = np.searchsorted(keys, one.keys)
        shown = ~np.isnan(one.value)
        low[at[shown]] = np.maximum(low[at[shown]], one.low[shown])
        high[at[shown]] = np.minimum(high[at[shown]], one.high[shown])
        first = shown & np.isnan(value[at])
        value[at[first]], base[at[first]] = one.value[first], one.base
    state = np.where(np.isnan(value), SPARED, SHOWN)
    persons = measure.define.kind == "persons"
    # A figure withheld beside others says that the cell passed its tests, and so the threshold.
    beside = np.isin(keys, np.concatenate([one.keys[one.beside] for one in given] or [keys[:0]]))
    low = np.where(state == SPARED, np.where(beside & persons, float(rules.k), 0.0), low)
    bare = _below(space, measure, keys[state == SHOWN])
    bare = np.setdiff1d(bare, keys)
    order = np.argsort(np.concatenate([keys, bare]), kind="stable")
    count = bare.size
    return Tables(
        space,
        measure,
        np.concatenate([keys, bare])[order],
        np.concatenate([state, np.full(count, BARE)])[order],
        np.concatenate([value, np.full(count, np.nan)])[order],
        np.concatenate([low, np.zeros(count)])[order],
        np.concatenate([high, np.full(count, np.inf)])[order],
        rules.k,
        np.concatenate([base, np.zeros(count, np.int64)])[order],
        rules,
    )


def _below(space: Space, measure: Measure, keys: Ints) -> Ints:
    """Every possible cell one step below one of these."""
    found = [kids for _, _, kids in _steps(space, measure, keys)]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _steps(space: Space, measure: Measure, keys: Ints) -> list[tuple[Ints, int, Ints]]:
    """(places of parents, axis, keys of their kids) for every possible step down."""
    codes, allowed = space.codes(keys), answered(space, measure)
    levels = np.stack([a.level[codes[:, i]] for i, a in enumerate(space.axes)], axis=1)
    found = []
    patterns, which = np.unique(levels, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns.tolist()):
        rows = np.flatnonzero(which.reshape(-1) == number)
        for at, axis in enumerate(space.axes):
            deeper = [*pattern]
            deeper[at] += 1
            if at >= 2 and (
                deeper[at] > len(axis.columns)
                or tuple(sorted(space.columns_of(deeper))) not in allowed
            ):
                continue
            found.append(_stepped(space, keys, codes, rows, at))
    return [step for step in found if step[0].size]


def _stepped(space: Space, keys: Ints, codes: Ints, rows: Ints, at: int) -> tuple[Ints, int, Ints]:
    """The cells in some rows with all that can lie one step below them on an axis."""
    edges, below = space.axes[at].below
    own = codes[rows, at]
    count = edges[own + 1] - edges[own]
    parents = np.repeat(rows, count)
    before = np.repeat(edges[own] - np.cumsum(count) + count, count)
    down = below[np.arange(parents.size) + before]
    reached = keys[parents] + (down - codes[parents, at]) * space.strides[at]
    real = ~space.impossible(space.codes(reached))
    return parents[real], at, reached[real]
