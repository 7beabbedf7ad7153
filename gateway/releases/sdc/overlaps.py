"""Attack by records: shown cells that lie inside each other, or overlap, though no roll-up says so.

A grouper may put nearly every stay of a diagnosis into one group, a small town may have one
hospital: then a cell less another one, which no group of the lattice relates, is a handful of
persons. So the records themselves are looked at. Of cells A, B, C, each a set of records, these
leave a set of records again:

- A − B, B inside A;
- A − B − C, both inside A and nothing in common;
- A + B − C, C covered by the two, and all they have in common inside C.

None of them may hold 1 … k−1 persons. Where a rest has 2k records or more it is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.releases.sdc.combined import NONE, Rests
from gateway.releases.sdc.cover import cover, smaller
from gateway.releases.sdc.lattice import Bools, Ints, ragged, starts_of
from gateway.releases.sdc.near import pairs_near
from gateway.releases.sdc.problem import Held, Nodes, Problem

_Bits: TypeAlias = NDArray[np.uint8]
_Form: TypeAlias = Callable[[_Bits, _Bits, _Bits], tuple[Bools, _Bits]]
"""From three sets of records per row: whether they leave a set, and which."""

_CHUNK = 4_000_000  # bytes unpacked, or rows combined, at a time
_SAMPLE = 96  # records of a cell that tell which others can hold nearly all of it


@dataclass(frozen=True)
class Sets:
    """Which records each node holds, as (node, record) pairs, and whose each record is."""

    node: Ints
    record: Ints
    person: Ints

    def of(self, nodes: Ints, count: int) -> Sets:
        """The pairs of some nodes, numbered by their place among them; `count` nodes at all."""
        number = np.full(count, NONE, np.int64)
        number[nodes] = np.arange(nodes.size)
        node = number[self.node]
        order = np.flatnonzero(node >= 0)
        order = order[np.argsort(node[order], kind="stable")]
        return Sets(node[order], self.record[order], self.person)


@dataclass(frozen=True)
class Contents:
    """The records of the cells of several tables and, for each record, whose it is."""

    held: Sequence[Held]
    person: Ints

    def sets(self, nodes: Nodes) -> Sets:
        """The same by node, once for linked cells."""
        parts = [np.zeros((0, 2), np.int64)]
        for held in self.held:
            node = nodes.of[held.job][held.pairs[:, 0]]
            parts.append(np.column_stack([node, held.pairs[:, 1]]))
        pairs = np.unique(np.concatenate(parts), axis=0)
        return Sets(pairs[:, 0], pairs[:, 1], self.person)


_NONE = np.zeros(0, np.int64)
NO_SETS, NO_CONTENTS = Sets(_NONE, _NONE, _NONE), Contents((), _NONE)


class Overlaps:
    """The attack on one problem; hiding only grows, so once it finds nothing it never will."""

    def __init__(self, sets: Sets) -> None:
        self._sets = sets
        self._over = False

    def __call__(self, problem: Problem, hidden: Bools) -> Ints:
        """Published nodes to hide: of each combination one, not the one of most persons."""
        chosen = np.zeros(hidden.size, np.bool_)
        held = np.zeros(hidden.size, np.bool_)
        held[self._sets.node] = True
        nodes = np.flatnonzero(held & ~hidden & (problem.persons > 0))
        if not self._over and nodes.size:
            k = int(problem.node_k[nodes].max())
            found = overlaps(self._sets.of(nodes, hidden.size), nodes.size, k)
            members = np.where(found.members >= 0, nodes[found.members], NONE)
            cover(smaller(members, problem.persons), chosen, problem.persons, problem.place)
        self._over = not chosen.any()
        return np.flatnonzero(chosen)


def overlaps(sets: Sets, count: int, k: int) -> Rests:
    """Every combination of the `count` sets that leaves 1 … k−1 persons."""
    search = _Search(sets, count, k)
    less = np.concatenate([search.less_one(), search.less_two()])
    more = search.two_less()
    row = np.concatenate([less, more])
    added = np.arange(len(row)) >= len(less)
    one, two, three = row.T
    return Rests.of(
        (one, np.where(added, two, NONE)),
        (np.where(added, three, two), np.where(added, NONE, three)),
    )


class _Search:
    def __init__(self, sets: Sets, count: int, k: int) -> None:
        self._sets, self._k, self._reach = sets, k, 2 * k
        self._starts = starts_of(sets.node, count)
        self.size = np.diff(self._starts)
        distinct, self._record = np.unique(sets.record, return_inverse=True)
        self._person = sets.person[distinct]
        self._rows = _packed(sets.node, self._record, (count, distinct.size))
        self._sets_of = _packed(self._record, sets.node, (distinct.size, count))

    def less_one(self) -> Ints:
        upper, lower = self._inside
        near = self.size[upper] - self.size[lower] < self._reach
        upper, lower = upper[near], lower[near]
        return self._few(np.stack([upper, lower, np.full(upper.size, NONE)], axis=1), _less)

    def less_two(self) -> Ints:
        upper, lower = self._inside
        order = np.lexsort((self.size[lower], upper))
        upper, lower = upper[order], lower[order]
        one, two = pairs_near(self.size[lower], upper, self.size[upper], self._reach)
        rows = np.stack([upper[one], lower[one], lower[two]], axis=1)
        rows = rows[self.size[rows[:, 0]] > self.size[rows[:, 1]] + self.size[rows[:, 2]]]
        return self._few(rows, _less)

    def two_less(self) -> Ints:
        part, whole = self._nearly_inside
        order = np.lexsort((self.size[part], whole))
        part, whole = part[order], whole[order]
        one, two = pairs_near(self.size[part], whole, self.size[whole], self._reach)
        rows = np.stack([part[one], part[two], whole[one]], axis=1)
        rows = rows[self.size[rows[:, 0]] + self.size[rows[:, 1]] > self.size[rows[:, 2]]]
        return self._few(rows, _covering)

    @cached_property
    def _inside(self) -> tuple[Ints, Ints]:
        """Pairs (upper, lower) of sets, the lower inside the upper and smaller."""
        found = []
        for chunk in self._chunks(self.size):
            edges, owner = ragged(self._starts, chunk)
            first = np.flatnonzero(np.diff(owner, prepend=-1))
            common = np.bitwise_and.reduceat(self._sets_of[self._record[edges]], first)
            lower, upper = np.nonzero(self._unpacked(common))
            found.append(np.stack([upper, chunk[lower]]))
        upper, lower = np.concatenate(found, axis=1)
        proper = self.size[upper] > self.size[lower]
        return upper[proper], lower[proper]

    @cached_property
    def _nearly_inside(self) -> tuple[Ints, Ints]:
        """Pairs (part, whole) of overlapping sets: few records of the part lie outside the whole.

        Not all of the whole lie in the part. What is no part of it in a sample is none at all.
        """
        found = []
        size = np.minimum(self.size, _SAMPLE)
        for chunk in self._chunks(size * 8):
            edges, owner = ragged(np.append(0, np.cumsum(size)), chunk)
            edges += (self._starts[:-1] - (np.cumsum(size) - size))[chunk][owner]
            first = np.flatnonzero(np.diff(owner, prepend=-1))
            held = self._unpacked(self._sets_of[self._record[edges]])
            common = np.add.reduceat(held, first, axis=0, dtype=np.int16)
            few = size[chunk][:, None] - common < self._reach
            part, whole = np.nonzero(few & (common > 0))
            found.append(np.stack([chunk[part], whole]))
        part, whole = np.concatenate(found, axis=1)
        keep = np.zeros(part.size, np.bool_)
        for at in self._spans(part.size):
            common = np.bitwise_count(self._rows[part[at]] & self._rows[whole[at]])
            shared = common.sum(axis=1, dtype=np.int64)
            keep[at] = self.size[part[at]] - shared < self._reach
            keep[at] &= shared < self.size[whole[at]]
        return part[keep], whole[keep]

    def _few(self, rows: Ints, form: _Form) -> Ints:
        """The rows whose rest is a set of records of 1 … k−1 persons."""
        found = [np.zeros((0, 3), np.int64)]
        for at in self._spans(len(rows)):
            chunk = rows[at]
            sets = (self._rows[chunk[:, 0]], self._rows[chunk[:, 1]])
            third = np.where((chunk[:, 2] >= 0)[:, None], self._rows[chunk[:, 2]], np.uint8(0))
            whole, rest = form(*sets, third)
            chunk, rest = chunk[whole], rest[whole]
            persons = self._persons(rest)
            found.append(chunk[(persons >= 1) & (persons < self._k)])
        return np.concatenate(found)

    def _persons(self, rest: _Bits) -> Ints:
        """Distinct persons of each set of records."""
        row, byte = np.nonzero(rest)
        bits = np.unpackbits(rest[row, byte][:, None], axis=1)
        place, bit = np.nonzero(bits)
        person = self._person[byte[place] * 8 + bit]
        crowd = int(self._person.max(initial=0)) + 1
        pairs = np.unique(row[place] * crowd + person)
        return np.bincount(pairs // crowd, minlength=len(rest))

    def _chunks(self, cost: Ints) -> Iterator[Ints]:
        """The sets in runs whose unpacked records are few enough."""
        width = self._sets_of.shape[1]
        run = np.cumsum(cost * width) // _CHUNK
        yield from np.split(np.arange(cost.size), np.flatnonzero(np.diff(run)) + 1)

    def _spans(self, length: int) -> Iterator[slice]:
        step = max(1, _CHUNK // max(1, self._rows.shape[1]))
        return (slice(i, i + step) for i in range(0, length, step))

    def _unpacked(self, packed: _Bits) -> _Bits:
        return np.unpackbits(packed, axis=1, count=self.size.size)


def _less(a: _Bits, b: _Bits, c: _Bits) -> tuple[Bools, _Bits]:
    """A − B − C: whether B and C have nothing in common, and what is left."""
    apart: Bools = (b & c).max(axis=1, initial=0) == 0
    return apart, a & ~b & ~c


def _covering(a: _Bits, b: _Bits, c: _Bits) -> tuple[Bools, _Bits]:
    """A + B − C: whether A and B cover C and meet inside it only, and what is left.

    What is in all three is counted twice and taken off once.
    """
    amiss = (c & ~(a | b)) | (a & b & ~c)
    whole: Bools = amiss.max(axis=1, initial=0) == 0
    return whole, a ^ b ^ c


def _packed(row: Ints, column: Ints, shape: tuple[int, int]) -> _Bits:
    """A table of bits with the given ones set."""
    found = np.zeros((shape[0], -(-shape[1] // 8)), np.uint8)
    np.bitwise_or.at(found, (row, column >> 3), (128 >> (column & 7)).astype(np.uint8))
    return found
