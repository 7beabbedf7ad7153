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


def totals(codes: Ints, size: int, columns: Sequence[Ints] | Ints) -> tuple[Ints, list[Ints]]:
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
class Visits:
    """Persons by cell, each (cell, person) a visit, and the parties of each visit.

    Lines of `by_visit` and `by_party` are `counting` (0 or 1) and the net amount. `visit` and
    `party` say whose a row of `by_party` is, `alone` marks the only counting one of its visit.
    """

    cell: Ints
    first: Ints  # the first of the rows that made the visit
    by_visit: Ints
    visit: Ints
    party: Ints
    by_party: Ints
    alone: Ints

    def __len__(self) -> int:
        return len(self.cell)


def visits(cell: Ints, person: Ints, party: Ints, counting: Ints, amount: Ints) -> Visits:
    """Who is where; rows are sorted by cell, person, party."""
    lead = changes(cell) | changes(person)
    heads, starts = np.flatnonzero(lead), np.flatnonzero(lead | changes(party))
    visit = (np.cumsum(lead) - 1)[starts]
    there = spread(counting, starts) > 0
    places = np.bincount(visit[there], minlength=len(heads))
    return Visits(
        cell=cell[heads],
        first=heads,
        by_visit=np.stack([(places > 0).astype(np.int64), spread(amount, heads)]),
        visit=visit,
        party=party[starts].astype(np.int64),
        by_party=np.stack([there.astype(np.int64), spread(amount, starts)]),
        alone=(there & (places[visit] == 1)).astype(np.int64),
    )


@dataclass(frozen=True)
class People:
    """What each cell has of persons; `place` numbers the cell of every visit, part by part."""

    cells: Ints
    persons: Ints
    top: Ints
    magnitude: Ints
    place: tuple[Ints, ...]


def people(parts: Sequence[Visits], size: int) -> People:
    """Persons per cell (all below `size`) and the largest net amount of one.

    Nobody is in two parts. Only visits that are counting make a person.
    """
    cells, place = numbered([part.cell for part in parts], size)
    persons, magnitude, top = (np.zeros(len(cells), np.int64) for _ in range(3))
    for part, where in zip(parts, place, strict=True):
        counting, amount = part.by_visit
        np.add.at(persons, where, counting)
        np.add.at(magnitude, where, amount)
        np.maximum.at(top, where, np.abs(amount))
    return People(cells, persons, top, magnitude, place)


def numbered(parts: Sequence[Ints], size: int) -> tuple[Ints, tuple[Ints, ...]]:
    """The distinct codes of all parts (all below `size`), ascending, and the place of each code."""
    if size > _SPARSE * sum(map(len, parts)):
        found, place = np.unique(np.concatenate(parts), return_inverse=True)
        return found, tuple(np.split(place, np.cumsum([len(part) for part in parts[:-1]])))
    seen = np.zeros(size, np.bool_)
    for part in parts:
        seen[part] = True
    found = np.flatnonzero(seen)
    number = np.empty(size, np.int64)
    number[found] = np.arange(len(found))
    return found, tuple(number[part] for part in parts)


def counted(cell: Ints, person: Ints, counting: Ints) -> tuple[Ints, Ints]:
    """The cells and how many persons each has; rows are sorted by cell, then person."""
    new_cell = changes(cell)
    starts = np.flatnonzero(new_cell)
    pairs = np.flatnonzero(new_cell | changes(person))
    there = spread(counting, pairs) > 0
    of_pair = (np.cumsum(new_cell) - 1)[pairs]
    return cell[starts], np.bincount(of_pair[there], minlength=len(starts))


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
    return _ranked(code // many, counts, sums, length)


def _ranked(cell: Ints, counts: Ints, sums: Ints, length: int) -> Parties:
    """The parties of each cell, one row per cell and party, sorted by cell."""
    amounts = np.abs(sums)
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


def hosts(
    parts: Sequence[Visits], place: Sequence[Ints], shape: tuple[int, int]
) -> tuple[Parties, Shares]:
    """The parties of cells 0 … shape[0]-1 and whom they host; `place` is the cell of each visit.

    Visits at place shape[0] count nowhere. `shape[1]` is how many parties there are at all.
    """
    length, many = shape
    code = np.concatenate([p[v.visit] * many + v.party for p, v in zip(place, parts, strict=True)])
    by_party = np.concatenate([np.vstack([v.by_party, v.alone]) for v in parts], axis=1)
    found, (persons, sums, only) = totals(code, (length + 1) * many, by_party)
    last = int(np.searchsorted(found, length * many))
    found, persons, only, sums = found[:last], persons[:last], only[:last], sums[:last]
    cell, party = np.divmod(found, many)
    held = persons > 0
    return (
        _ranked(cell, persons, sums, length),
        Shares(cell[held], party[held], persons[held], only[held]),
    )
