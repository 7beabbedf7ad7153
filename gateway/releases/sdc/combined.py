"""Adding and subtracting up to three shown person counts, in one table or across two that nest.

What is left of a cell after one or two cells within it is a count of persons too: with a drug in
one service and without in none. So is what two cells have beyond a third that they cover together:
women, and men with a drug, less all with it, are the women without. No such rest may be 1 … k−1,
neither truly nor as published. Searched are, for cells A, B, C of either table:

- A − B, B within A;
- A − B − C, B and C within A: children of one cell, or apart on an axis on which persons have one
  value; or B a child of A and C of the inner table beside it;
- A + B − C, where A holds one and B the other of the only two parts of C.

Any other sign leaves a whole shown cell or more, which is no small count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.releases.sdc.halves import Half, halves
from gateway.releases.sdc.lattice import Ints
from gateway.releases.sdc.near import pairs_near, spread
from gateway.releases.sdc.nested import Above, Apart, Codes, Counts, Step, itself, within

NONE = -1


@dataclass(frozen=True)
class Rests:
    """One row per combination: two cells added, two subtracted, `NONE` where there are fewer.

    Outer cells come first in the numbering of cells, inner ones after them.
    """

    plus: Ints
    minus: Ints

    @classmethod
    def of(cls, plus: tuple[Ints, Ints], minus: tuple[Ints, Ints]) -> Rests:
        return cls(np.stack(plus, axis=1), np.stack(minus, axis=1))

    def __len__(self) -> int:
        return int(self.plus.shape[0])

    @property
    def members(self) -> Ints:
        """The cells of each combination, three to a row."""
        return np.concatenate([self.plus, self.minus], axis=1)


def rests(outer: Counts, inner: Counts, steps: tuple[Step, ...], k: int) -> Rests:
    """Every combination with at least one cell of each table that leaves 1 … k−1 persons."""
    return _Search(outer, inner, steps, k).found()


def rests_within(table: Counts, k: int) -> Rests:
    """Every combination inside one table that leaves 1 … k−1 persons."""
    return _Search(table, table, itself(table.lattice), k).found()


class _Search:
    def __init__(self, outer: Counts, inner: Counts, steps: tuple[Step, ...], k: int) -> None:
        self.outer, self.inner, self.k = outer, inner, k
        self.alone = outer is inner
        self.first = 0 if self.alone else len(outer.lattice)  # number of the first inner cell
        self.up = Above(outer, inner.lattice, steps)
        tables = [outer] if self.alone else [outer, inner]
        self.exact = np.concatenate([t.persons for t in tables])
        self.told = np.concatenate([t.published for t in tables])
        # No figure is further than that from its count, so no rest than three times that.
        error = int(np.abs(self.exact - self.told).max(initial=0))
        self.reach = k + 3 * error

    def found(self) -> Rests:
        parts = [self.pairs(), *(self.siblings(axis) for axis in self._loose())]
        if not self.alone:
            parts += [self.beside(axis) for axis in range(len(self.outer.lattice.axes))]
        parts += [self.apart(axis) for axis in self._exact_axes()]
        parts += [self.covering(half) for half in halves(self.inner)]
        plus, minus = (np.concatenate([getattr(p, of) for p in parts]) for of in ("plus", "minus"))
        if not plus.size:
            return Rests(plus, minus)
        both = np.unique(
            np.concatenate([np.sort(plus, axis=1), np.sort(minus, axis=1)], axis=1), axis=0
        )
        return Rests(both[:, :2], both[:, 2:])

    def _exact_axes(self) -> list[int]:
        """Outer axes on which a person has one value."""
        axes = self.outer.lattice.axes
        return [i for i, axis in enumerate(axes) if axis.additive_persons]

    def _loose(self) -> list[int]:
        """Inner axes whose siblings `apart` does not see."""
        axes = self.inner.lattice.axes
        return [i for i, axis in enumerate(axes) if not (self.alone and axis.additive_persons)]

    def few(self, rests: Rests) -> Rests:
        """Those of the combinations that leave 1 … k−1, by true counts or by published ones."""
        small = np.zeros(len(rests), np.bool_)
        for count in (self.exact, self.told):
            figure = np.append(count, 0)  # NONE reads the last
            left = np.abs(figure[rests.plus].sum(axis=1) - figure[rests.minus].sum(axis=1))
            small |= (left >= 1) & (left < self.k)
        return Rests(rests.plus[small], rests.minus[small])

    @cached_property
    def inside(self) -> tuple[Ints, Ints, Codes]:
        """Every shown cell inside a shown outer one: upper, lower, and its codes on outer axes."""
        cells = np.flatnonzero(self.inner.open)
        codes = self.inner.lattice.codes[cells]
        whose, upper = self.up.containing(codes)
        lower = cells[whose] + self.first
        own = np.stack([self.up.read(a, codes)[:, 0] for a in range(len(self.up.steps))], axis=1)
        proper = upper != lower
        return upper[proper], lower[proper], own.astype(np.int32)[whose[proper]]

    @cached_property
    def below(self) -> tuple[Ints, Ints, Codes]:
        """As `inside`, with the outer table's own cells too."""
        if self.alone:
            return self.inside
        table = self.outer
        whose, upper = Above(table, table.lattice, itself(table.lattice)).containing(
            table.lattice.codes[cells := np.flatnonzero(table.open)]
        )
        lower = cells[whose]
        proper = upper != lower
        mine = (upper[proper], lower[proper], table.lattice.codes[lower[proper]])
        # Only beside an inner cell: what the outer table gives by itself is searched there.
        used = np.isin(mine[0], self.inside[0])
        parts = zip(self.inside, mine, strict=True)
        return tuple(np.concatenate([a, b[used]]) for a, b in parts)  # type: ignore[return-value]  # three in, three out

    @cached_property
    def _by_count(self) -> tuple[Ints, Ints, Codes]:
        """As `below`, in order of the upper cell and of the lower one's persons."""
        upper, lower, codes = self.below
        order = np.lexsort((self.exact[lower], upper))
        return upper[order], lower[order], codes[order]

    def pairs(self) -> Rests:
        upper, lower, _ = self.inside
        none = np.full(upper.size, NONE)
        return self.few(Rests.of((upper, none), (lower, none)))

    def apart(self, axis: int) -> Rests:
        """Outer less two cells in it that no person can be in both of: apart on the axis."""
        upper, lower, codes = self._by_count
        code = codes[:, axis].astype(np.int64)
        deep = (code > 0) & (code != self.outer.lattice.codes[upper, axis])
        upper, lower, code = upper[deep], lower[deep], code[deep]
        found = []
        for part in _chunks(upper):
            one, two = pairs_near(
                self.exact[lower[part]], upper[part], self.exact[upper[part]], self.reach
            )
            one, two = one + part.start, two + part.start
            lattice = self.outer.lattice
            keep = ~within(lattice, axis, code[one], code[two])
            keep &= ~within(lattice, axis, code[two], code[one])
            keep &= (lower[one] >= self.first) | (lower[two] >= self.first)
            one, two = one[keep], two[keep]
            none = np.full(one.size, NONE)
            found.append(self.few(Rests.of((upper[one], none), (lower[one], lower[two]))))
        return _joined(found)

    def siblings(self, axis: int) -> Rests:
        """Outer less two inner cells that are children of one cell, be it published or not."""
        cells, above = _below(self.inner, axis)
        codes = self.inner.lattice.codes[cells]
        codes[:, axis] = above
        key = codes.astype(np.int64) @ self.inner.lattice.index.strides
        count = self.inner.persons[cells]
        order = np.lexsort((count, key))
        cells, count, codes, key = cells[order], count[order], codes[order], key[order]
        _, first, size = np.unique(key, return_index=True, return_counts=True)
        first, size = first[size > 1], size[size > 1]
        last = first + size - 1
        whose, upper = self.up.containing(codes[first])
        # Two children leave little only where the two largest do.
        near = self.exact[upper] - count[last[whose]] - count[last[whose] - 1] < self.reach
        whose, upper = whose[near], upper[near]
        place, case = spread(first[whose], size[whose])
        one, two = pairs_near(count[place], case, self.exact[upper][case], self.reach)
        none = np.full(one.size, NONE)
        lower = (cells[place[one]] + self.first, cells[place[two]] + self.first)
        return self.few(Rests.of((upper[case[one]], none), lower))

    def beside(self, axis: int) -> Rests:
        """Outer less one of its children along an axis, less an inner cell of another child."""
        lattice = self.outer.lattice
        cells, value, span = self._children(axis)
        upper, lower, codes = self.inside
        place = codes[:, axis].astype(np.int64)
        deep = (place >= 0) & (place != lattice.codes[upper, axis])
        upper, lower, place = upper[deep], lower[deep], place[deep]
        left = self.exact[upper] - self.exact[lower]
        begin = np.searchsorted(value, upper * span + np.maximum(left - self.reach + 1, 0))
        end = np.searchsorted(value, upper * span + np.maximum(left + self.reach, 0))
        position, case = spread(begin, np.maximum(end - begin, 0))
        child = cells[position]
        apart = ~within(lattice, axis, place[case], lattice.codes[child, axis].astype(np.int64))
        child, case = child[apart], case[apart]
        none = np.full(case.size, NONE)
        return self.few(Rests.of((upper[case], none), (lower[case], child)))

    def _children(self, axis: int) -> tuple[Ints, Ints, int]:
        """Shown outer cells in order of parent and count, what they are ordered by, its unit."""
        lattice, persons = self.outer.lattice, self.outer.persons
        cells, above = _below(self.outer, axis)
        move = (above - lattice.codes[cells, axis]) * self.up.index.strides[axis]
        parent = self.up.index.find(self.up.index.key[cells] + move)
        cells, parent = cells[parent >= 0], parent[parent >= 0]
        span = int(persons.max(initial=0)) + 2 * self.reach
        value = parent * span + persons[cells]
        order = np.argsort(value, kind="stable")
        return cells[order], value[order], span

    def covering(self, half: Half) -> Rests:
        """Two cells that each hold one of the only two parts of an inner cell, less that cell."""
        whole = self.exact[half.cells + self.first]
        lists = [self._holding(half, part, whole + self.reach) for part in (half.one, half.other)]
        case = np.concatenate([held[0] for held in lists])
        cell = np.concatenate([held[1] for held in lists])
        side = np.repeat([0, 1], [held[0].size for held in lists])
        order = np.lexsort((self.exact[cell], case))
        case, cell, side = case[order], cell[order], side[order]
        one, two = pairs_near(self.exact[cell], case, whole[case], self.reach)
        keep = side[one] != side[two]
        keep &= self.alone | (cell[one] < self.first) | (cell[two] < self.first)
        one, two = one[keep], two[keep]
        none = np.full(one.size, NONE)
        third = half.cells[case[one]] + self.first
        return self.few(Rests.of((cell[one], cell[two]), (third, none)))

    def _holding(self, half: Half, part: Ints, below: Ints) -> tuple[Ints, Ints]:
        """Shown cells that hold a part of an inner cell but not all of it, after which cell.

        Only those of fewer persons than `below`, a limit for each inner cell.
        """
        own = self.inner.lattice.codes[half.cells]
        codes = own.copy()
        codes[:, half.axis] = part
        readers = [(self.up, 0)] if self.alone else [(self.up, 0), (self._own, self.first)]
        found = []
        for reader, first in readers:
            case, cell = reader.containing(codes, Apart(half.axis, own), below)
            found.append((case, cell + first))
        case, cell = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return case, cell

    @cached_property
    def _own(self) -> Above:
        """Cells of the inner table that contain cells of it."""
        return Above(self.inner, self.inner.lattice, itself(self.inner.lattice))


def _below(of: Counts, axis: int) -> tuple[Ints, Ints]:
    """Shown cells that have a coarser code on an axis, and that code."""
    cells = np.flatnonzero(of.open)
    above = of.lattice.axes[axis].parent[of.lattice.codes[cells, axis]].astype(np.int64)
    return cells[above >= 0], above[above >= 0]


def _chunks(case: Ints) -> Iterator[slice]:
    """Slices of whole cases, to bound how much is combined at a time."""
    begin = 0
    while begin < case.size:
        end = int(np.searchsorted(case, case[min(begin + _MANY, case.size) - 1], side="right"))
        yield slice(begin, end)
        begin = end


_MANY = 500_000


def _joined(parts: list[Rests]) -> Rests:
    empty = np.zeros((0, 2), np.int64)
    return Rests(
        np.concatenate([empty, *(part.plus for part in parts)]),
        np.concatenate([empty, *(part.minus for part in parts)]),
    )
