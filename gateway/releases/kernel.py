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

_KEY_BITS = 62
_SPARSE = 8  # so many possible codes per row are still counted in a table of all codes


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


def narrow(codes: Ints) -> Ints:
    """The same codes in as few bytes as the largest needs; they are widened when mixed."""
    kind = np.min_scalar_type(int(codes.max(initial=0)))
    return codes.astype(kind) if codes.min(initial=0) >= 0 else codes


def unmixed(codes: Ints, sizes: Sequence[int]) -> list[Ints]:
    """The digits of mixed-radix codes, with what is left over in front."""
    digits = []
    for size in reversed(sizes):
        above = codes // size
        digits.append(codes - above * size)
        codes = above
    return [codes, *reversed(digits)]


def ordered(codes: Ints, size: int) -> tuple[Ints, Ints]:
    """Codes (all below `size`) in ascending order and their positions, equal ones in old order.

    Code and position are sorted as one number: NumPy sorts numbers much faster than positions.
    """
    bits = len(codes).bit_length()
    if size.bit_length() + bits > _KEY_BITS:
        index = np.argsort(codes, kind="stable")
        return codes[index], index
    packed = (codes << bits) | np.arange(len(codes))
    packed.sort()
    return packed >> bits, packed & ((1 << bits) - 1)


def spread(values: Ints, starts: Ints) -> Ints:
    """The sum of each stretch of values; stretches begin at `starts` and cover all values."""
    running = np.append(0, np.cumsum(values))
    sums: Ints = np.diff(running[np.append(starts, len(values))])
    return sums


def totals(codes: Ints, size: int, columns: Sequence[Ints]) -> tuple[Ints, list[Ints]]:
    """The distinct codes (all below `size`), ascending, and the sum of each column by code."""
    if size > _SPARSE * len(codes):
        ranked, index = ordered(codes, size)
        starts = np.flatnonzero(changes(ranked))
        return ranked[starts], [spread(column[index], starts) for column in columns]
    found = np.flatnonzero(np.bincount(codes, minlength=size))
    sums = []
    for column in columns:
        table = np.zeros(size, np.int64)
        np.add.at(table, codes, column)
        sums.append(table[found])
    return found, sums


def collapse(rows: Rows, names: Sequence[str], sizes: Sequence[int]) -> Rows:
    """Rows with equal keys merged and their sums added, sorted by the keys in the order named."""
    if not len(rows):
        return Rows({n: rows.keys[n] for n in names}, rows.sums)
    size = 1
    for each in sizes:
        size *= each
    code, order = ordered(mixed([rows.keys[n] for n in names], sizes, len(rows)), size)
    starts = np.flatnonzero(changes(code))
    sums = np.stack([spread(line[order], starts) for line in rows.sums])
    digits = unmixed(code[starts], sizes)[1:]
    return Rows(dict(zip(names, digits, strict=True)), sums)


def located(cells: Ints, codes: Ints, size: int) -> Ints:
    """Place of each code (below `size`) among the ascending `cells`; -1 where it is none.

    Cells beyond `size` are those of periods and places in which the codes' fact has no rows.
    """
    if size <= _SPARSE * (len(codes) + len(cells)):
        table = np.full(size, -1, np.int64)
        inside = cells[: np.searchsorted(cells, size)]
        table[inside] = np.arange(len(inside))
        return table[codes]
    if not len(cells):
        return np.full(len(codes), -1, np.int64)
    at = np.minimum(np.searchsorted(cells, codes), len(cells) - 1)
    return np.where(cells[at] == codes, at, -1)


@dataclass(frozen=True)
class People:
    """Rows by cell and person, and what each cell has of them.

    `cell_of` is the place of each row's cell among `cells`, `lead` marks the first row of each
    (cell, person).
    """

    cells: Ints
    persons: Ints
    top: Ints
    magnitude: Ints
    cell_of: Ints
    lead: Bools


def people(cell: Ints, person: Ints, counting: Ints, amount: Ints) -> People:
    """Persons per cell and the largest net amount of one; rows are sorted by cell, then person.

    Only rows that are `counting` make a person.
    """
    new_cell = changes(cell)
    lead = new_cell | changes(person)
    starts, pairs = np.flatnonzero(new_cell), np.flatnonzero(lead)
    cell_of = np.cumsum(new_cell) - 1
    amounts = spread(amount, pairs)
    of_pair = cell_of[pairs]
    counted = spread(counting, pairs) > 0
    first = np.flatnonzero(changes(of_pair))
    return People(
        cells=cell[starts],
        persons=np.bincount(of_pair[counted], minlength=len(starts)),
        top=np.maximum.reduceat(np.abs(amounts), first) if len(first) else first,
        magnitude=spread(amounts, first),
        cell_of=cell_of,
        lead=lead,
    )


@dataclass(frozen=True)
class Parties:
    """Distinct parties (institutions, makers) of each cell, its two largest and concentration."""

    parties: Ints
    top1: Ints
    top2: Ints
    squares: Floats


def parties(
    place: Ints, party: Ints, counting: Ints, amount: Ints, shape: tuple[int, int]
) -> Parties:
    """Parties of cells 0 … shape[0]-1; `shape[1]` is how many parties there are at all."""
    length, many = shape
    code, (counts, sums) = totals(place * many + party, length * many, [counting, amount])
    cell, amounts = code // many, np.abs(sums)
    there = np.bincount(cell, minlength=length) > 0
    starts = np.flatnonzero(changes(cell))
    top1, top2 = np.zeros(length, np.int64), np.zeros(length, np.int64)
    squares = np.zeros(length)
    if len(starts):
        top1[there] = np.maximum.reduceat(amounts, starts)
        squares[there] = np.add.reduceat(np.square(amounts.astype(np.float64)), starts)
        best = np.flatnonzero(amounts == top1[cell])
        rest = amounts.copy()
        rest[best[changes(cell[best])]] = 0
        top2[there] = np.maximum.reduceat(rest, starts)
    return Parties(np.bincount(cell[counts > 0], minlength=length), top1, top2, squares)


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


def shares(place: Ints, lead: Bools, party: Ints, counting: Ints, shape: tuple[int, int]) -> Shares:
    """Persons by cell and party; rows are sorted by cell, person, party.

    `place` numbers the cells 0 … shape[0]-1, `lead` marks the first row of each (cell, person).
    """
    if not len(place):
        return Shares.empty()
    length, many = shape
    starts = np.flatnonzero(lead | changes(party))
    starts = starts[spread(counting, starts) > 0]
    owner = np.cumsum(lead)[starts]
    alone = (np.bincount(owner)[owner] == 1).astype(np.int64)
    code = place[starts] * many + party[starts]
    found, (persons, only) = totals(code, length * many, [np.ones_like(alone), alone])
    return Shares(found // many, found % many, persons, only)
