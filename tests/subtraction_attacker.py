"""An attacker who adds and subtracts up to three published counts, sharing no code with the build.

It knows of each published cell the very set that is counted (persons, or stays with their persons),
and of no roll-up: a combination is dangerous when, as sets, it is exactly one set again (every
member counted once, nobody negatively) and few are in it. So every way in which cells can lie in,
beside or over each other counts, in one service or across several, whether anybody thought of it
or not. The combinations are A − B, A − B − C and A + B − C; those of other signs hold a whole cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Leak:
    """Published cells by number, added and subtracted, and how many are in the set they leave."""

    plus: tuple[int, ...]
    minus: tuple[int, ...]
    left: int


@dataclass(frozen=True)
class Attacker:
    """Row i of `members` says who is in published cell i; `told` are the counts as published."""

    members: Bools
    k: int
    told: Ints | None = None

    @cached_property
    def figure(self) -> Ints:
        """What is added and subtracted: published counts, or exact ones."""
        return self.size if self.told is None else self.told

    @cached_property
    def size(self) -> Ints:
        found: Ints = self.members.sum(axis=1).astype(np.int64)
        return found

    @cached_property
    def common(self) -> Ints:
        """How many are in both of two cells."""
        held = self.members.astype(np.float32)
        found: Ints = np.rint(held @ held.T).astype(np.int64)
        return found

    def leaks(self) -> Iterator[Leak]:
        for cell in range(len(self.members)):
            inside = self.common[cell] == self.size
            below = np.flatnonzero(inside & (self.size < self.size[cell]))
            yield from self._less_one(cell, below)
            yield from self._less_two(cell, below)
            yield from self._two_less(cell)

    def _few(self, left: Ints) -> Bools:
        found: Bools = (left >= 1) & (left < self.k)
        return found

    def _less_one(self, cell: int, below: Ints) -> Iterator[Leak]:
        left = self.figure[cell] - self.figure[below]
        for at in np.flatnonzero(self._few(left)).tolist():
            yield Leak((cell,), (int(below[at]),), int(left[at]))

    def _less_two(self, cell: int, below: Ints) -> Iterator[Leak]:
        """Two cells of nobody in common, both in a third."""
        figure = self.figure
        large = below[2 * figure[below] > figure[cell] - self.k]
        left = figure[cell] - figure[large][:, None] - figure[below][None, :]
        apart = self.common[np.ix_(large, below)] == 0
        ordered = (figure[large][:, None] > figure[below]) | (
            (figure[large][:, None] == figure[below]) & (large[:, None] < below)
        )
        for i, j in np.argwhere(self._few(left) & apart & ordered).tolist():
            yield Leak((cell,), (int(large[i]), int(below[j])), int(left[i, j]))

    def _two_less(self, cell: int) -> Iterator[Leak]:
        """Two cells that cover a third, and all they have in common lies in it."""
        outside = self.size - self.common[cell]
        error = int(np.abs(self.figure - self.size).max(initial=0))
        near = np.flatnonzero((outside < self.k + 3 * error) & (self.size > 0))
        near = near[near != cell]
        near = near[np.argsort(self.figure[near], kind="stable")]
        size = self.figure[near]
        low = np.searchsorted(size, self.figure[cell] + 1 - size, side="left")
        high = np.searchsorted(size, self.figure[cell] + self.k - size, side="left")
        low = np.maximum(low, np.arange(near.size) + 1)
        for i in np.flatnonzero(low < high).tolist():
            others = near[low[i] : high[i]]
            yield from self._covering(cell, int(near[i]), others)

    def _covering(self, cell: int, one: int, others: Ints) -> Iterator[Leak]:
        whole, first = self.members[cell], self.members[one]
        rest = self.members[others]
        covered = ~(whole & ~first & ~rest).any(axis=1)
        inside = ~(first & ~whole & rest).any(axis=1)
        for other in others[covered & inside].tolist():
            left = int(self.figure[one] + self.figure[other] - self.figure[cell])
            yield Leak((one, other), (cell,), left)


def told(leak: Leak, names: Sequence[str]) -> str:
    """A leak in words."""
    plus = " plus ".join(names[i] for i in leak.plus)
    minus = " less ".join(names[i] for i in leak.minus)
    return f"{plus} less {minus}"
