"""Group coded atoms into cells: the numeric heart of a build, numpy only.

Everything summed is an integer (fixed point), so a sum does not depend on the order of its rows
and two builds of the same input agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_RADIX = 1 << 16


@dataclass(frozen=True)
class Rows:
    """Rows of one slice: key columns (codes from 0), and columns that add up."""

    keys: dict[str, Ints]
    sums: Ints  # one line per summed column, one column per row

    def __len__(self) -> int:
        return int(self.sums.shape[1])

    def take(self, index: npt.NDArray[np.intp]) -> Rows:
        return Rows({k: v[index] for k, v in self.keys.items()}, self.sums[:, index])

    def between(self, first: int, last: int) -> Rows:
        return Rows({k: v[first:last] for k, v in self.keys.items()}, self.sums[:, first:last])


def changes(values: npt.NDArray[np.integer]) -> Bools:
    """True where a value differs from the one before it (and at the first)."""
    marks = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=marks[1:])
    return marks


def mixed(columns: Sequence[Ints], sizes: Sequence[int], length: int) -> Ints:
    """One integer per row from its codes, the first column most significant."""
    code = np.zeros(length, np.int64)
    for column, size in zip(columns, sizes, strict=True):
        code *= size
        code += column
    return code


def unmixed(codes: Ints, sizes: Sequence[int]) -> list[Ints]:
    """The digits of mixed-radix codes, with what is left over in front."""
    digits = []
    for size in reversed(sizes):
        digits.append(codes % size)
        codes = codes // size
    return [codes, *reversed(digits)]


def stable_order(codes: Ints, size: int) -> npt.NDArray[np.intp]:
    """Positions that sort `codes` (all below `size`), equal codes in their old order.

    Sixteen-bit keys take NumPy's radix sort, which is linear; larger ones take it twice.
    """
    low = np.argsort((codes % _RADIX).astype(np.uint16), kind="stable")
    if size <= _RADIX:
        return low
    high = codes[low] // _RADIX
    kind = np.uint16 if size // _RADIX < _RADIX else np.int64
    return low[np.argsort(high.astype(kind), kind="stable")]


def collapse(rows: Rows, names: Sequence[str], sizes: Sequence[int]) -> Rows:
    """Rows with equal keys merged and their sums added, sorted by the keys in the order named."""
    if not len(rows):
        return Rows({n: rows.keys[n] for n in names}, rows.sums)
    code = mixed([rows.keys[n] for n in names], sizes, len(rows))
    order = np.argsort(code)
    starts = np.flatnonzero(changes(code[order]))
    first = order[starts]
    sums = np.add.reduceat(rows.sums[:, order], starts, axis=1)
    return Rows({n: rows.keys[n][first] for n in names}, sums)


@dataclass(frozen=True)
class People:
    """Distinct persons of each cell and the largest amount of one of them."""

    cells: Ints
    persons: Ints
    top: Ints


def people(cell: Ints, person: Ints, counting: Ints, amount: Ints) -> People:
    """Persons per cell; rows are sorted by cell, then person; `counting` rows make a person."""
    new_cell = changes(cell)
    starts = np.flatnonzero(new_cell | changes(person))
    counts = np.add.reduceat(counting, starts) > 0
    amounts = np.abs(np.add.reduceat(amount, starts))
    cells = np.flatnonzero(new_cell[starts])
    return People(
        cell[starts[cells]],
        np.add.reduceat(counts.astype(np.int64), cells),
        np.maximum.reduceat(amounts, cells),
    )


@dataclass(frozen=True)
class Parties:
    """Distinct parties (institutions, makers) of each cell, its two largest and concentration."""

    cells: Ints
    parties: Ints
    top1: Ints
    top2: Ints
    squares: Floats


def parties(cell: Ints, party: Ints, counting: Ints, amount: Ints) -> Parties:
    """Parties per cell; rows are sorted by cell, then party."""
    new_cell = changes(cell)
    starts = np.flatnonzero(new_cell | changes(party))
    counts = np.add.reduceat(counting, starts) > 0
    amounts = np.abs(np.add.reduceat(amount, starts))
    of_cell = cell[starts]
    cells = np.flatnonzero(changes(of_cell))
    ranked = amounts[np.lexsort((-amounts, of_cell))]
    second = np.minimum(cells + 1, len(ranked) - 1)
    top2 = np.where(of_cell[second] == of_cell[cells], ranked[second], 0)
    top2[second == cells] = 0
    return Parties(
        of_cell[cells],
        np.add.reduceat(counts.astype(np.int64), cells),
        ranked[cells],
        top2,
        np.add.reduceat(np.square(amounts.astype(np.float64)), cells),
    )


@dataclass(frozen=True)
class Shares:
    """How many persons each provider brings to a cell, and how many no other provider has there."""

    cells: Ints
    party: Ints
    persons: Ints
    only: Ints

    @staticmethod
    def empty() -> Shares:
        none = np.zeros(0, np.int64)
        return Shares(none, none, none, none)


def shares(cell: Ints, person: Ints, party: Ints, counting: Ints, n_parties: int) -> Shares:
    """Persons by cell and party; rows are sorted by cell, person, party."""
    if not len(cell):
        return Shares.empty()
    new_person = changes(cell) | changes(person)
    starts = np.flatnonzero(new_person | changes(party))
    counts = np.add.reduceat(counting, starts) > 0
    starts = starts[counts]
    if not len(starts):
        return Shares.empty()
    owner = np.cumsum(new_person)[starts]
    alone = (np.bincount(owner)[owner] == 1).astype(np.int64)
    code = cell[starts] * n_parties + party[starts]
    order = np.argsort(code)
    ranked = code[order]
    first = np.flatnonzero(changes(ranked))
    return Shares(
        ranked[first] // n_parties,
        ranked[first] % n_parties,
        np.diff(np.append(first, len(ranked))),
        np.add.reduceat(alone[order], first),
    )
