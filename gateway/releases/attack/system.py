"""All equations among the cells of linked tables: what an outsider may write down, as one system.

Unknowns are cells; a cell that two services both count is one unknown. Each row has a name and its
members, so that a solution's proof can be told in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from gateway.catalogue.model import Link, Service
from gateway.releases.attack.space import Bools, Floats, Ints, Space
from gateway.releases.attack.tables import BARE, SHOWN, Tables
from gateway.releases.shapes import columns_of
from gateway.releases.spans import contains

EQUAL, AT_MOST = 0, 1
_PLACES = 2  # the axes that are not dims: period and place


@dataclass(frozen=True)
class Row:
    """left = Σ right, or left ≤ Σ right, over unknowns; `why` names the law."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    sense: int
    why: str


@dataclass(frozen=True)
class Met:
    """Two cells of two services that hold the same records (places over all tables)."""

    inner: int
    outer: int


@dataclass(frozen=True)
class System:
    """Unknowns with bounds, and rows among them. `cell_of[i]` is the unknown of cell i over all
    tables; `names[u]` are the cells of an unknown."""

    tables: tuple[Tables, ...]
    cell_of: Ints
    low: Floats
    high: Floats
    hidden: Bools  # nobody shows the unknown
    bare: Bools  # nor did it pass its own tests, as far as any service knows
    rows: tuple[Row, ...]

    @cached_property
    def offsets(self) -> Ints:
        return np.cumsum([0, *(t.keys.size for t in self.tables)])

    def places(self, unknown: int) -> list[tuple[Tables, int]]:
        """The cells that are this unknown."""
        order, starts = self._cells
        found = []
        for cell in order[starts[unknown] : starts[unknown + 1]].tolist():
            at = int(np.searchsorted(self.offsets, cell, side="right")) - 1
            found.append((self.tables[at], cell - int(self.offsets[at])))
        return found

    @cached_property
    def senses(self) -> Ints:
        """EQUAL or AT_MOST of each row."""
        return np.array([row.sense for row in self.rows], np.int64)

    @cached_property
    def _cells(self) -> tuple[Ints, Ints]:
        """Cells in order of their unknown, and where each unknown's begin."""
        order = np.argsort(self.cell_of, kind="stable")
        return order, np.searchsorted(self.cell_of[order], np.arange(self.low.size + 1))

    @cached_property
    def matrix(self) -> csr_matrix:
        """One line per row: left as 1, right as −1."""
        lines: list[int] = []
        columns: list[int] = []
        data: list[float] = []
        for at, row in enumerate(self.rows):
            members = (*row.left, *row.right)
            lines += [at] * len(members)
            columns += members
            data += [1.0] * len(row.left) + [-1.0] * len(row.right)
        shape = (len(self.rows), self.low.size)
        return coo_matrix((data, (lines, columns)), shape=shape).tocsr()

    @cached_property
    def components(self) -> Ints:
        """A number per unknown; rows join none of different numbers."""
        lines = self.matrix.tocoo()
        n_rows, n = self.matrix.shape
        both = coo_matrix(
            (np.ones(lines.nnz), (lines.row + n, lines.col)), shape=(n + n_rows, n + n_rows)
        )
        labels: Ints = connected_components(both, directed=False)[1][:n]
        return labels


def system_of(tables: Sequence[Tables]) -> System:
    """The system of one measure (or of measures that services count alike) in one season."""
    offsets = np.cumsum([0, *(t.keys.size for t in tables)])
    cell_of, n = _merged(tables, offsets, met(tables))
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    np.maximum.at(low, cell_of, np.concatenate([t.low for t in tables]))
    np.minimum.at(high, cell_of, np.concatenate([t.high for t in tables]))
    state = np.full(n, BARE)
    np.minimum.at(state, cell_of, np.concatenate([t.state for t in tables]))
    rows: list[Row] = []
    for number, table in enumerate(tables):
        rows += _own_rows(table, cell_of[offsets[number] : offsets[number + 1]])
    rows += _rows_between(tables, offsets, cell_of)
    every = tuple(dict.fromkeys(rows))
    return System(tuple(tables), cell_of, low, high, state != SHOWN, state == BARE, every)


def _merged(tables: Sequence[Tables], offsets: Ints, same: Sequence[Met]) -> tuple[Ints, int]:
    count = int(offsets[-1])
    pairs = np.array([(m.inner, m.outer) for m in same], np.int64).reshape(-1, 2)
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    n, labels = connected_components(links, directed=False)
    return labels.astype(np.int64), int(n)


def _own_rows(table: Tables, unknown: Ints) -> Iterator[Row]:
    for family in table.families:
        parent, kids = int(unknown[family.parent]), tuple(unknown[list(family.kids)].tolist())
        if family.apart:
            sense = EQUAL if family.whole else AT_MOST
            if sense == EQUAL:
                yield Row((parent,), kids, EQUAL, "adds_up")
            else:
                yield Row(kids, (parent,), AT_MOST, "parts_within")
        else:
            yield from (Row((kid,), (parent,), AT_MOST, "part_within") for kid in kids)
            if family.whole:
                yield Row((parent,), kids, AT_MOST, "covered")


def met(tables: Sequence[Tables]) -> list[Met]:
    """Cells of different services that count the same records."""
    offsets = np.cumsum([0, *(t.keys.size for t in tables)])
    found = []
    for i, j, link in links_between(tables, within=False):
        inner, outer = tables[i], tables[j]
        keys = moved(inner.space, outer.space, inner.codes, link)
        at = np.where(keys >= 0, outer.find(np.maximum(keys, 0)), -1)
        for cell in np.flatnonzero(at >= 0).tolist():
            found.append(Met(int(offsets[i]) + cell, int(offsets[j]) + int(at[cell])))
    return found


def links_between(tables: Sequence[Tables], *, within: bool) -> Iterator[tuple[int, int, Link]]:
    """(inner, outer, link) for tables whose services are linked (or lie one within the other)."""
    for i, inner in enumerate(tables):
        disclosure = inner.space.service.disclosure
        for link in disclosure.within if within else disclosure.linked:
            for j, outer in enumerate(tables):
                if outer.space.service.id == link.service:
                    yield i, j, link


def _rows_between(tables: Sequence[Tables], offsets: Ints, cell_of: Ints) -> Iterator[Row]:
    for i, j, link in links_between(tables, within=True):
        inner, outer = tables[i], tables[j]
        if inner.persons and outer.persons:
            keys = moved(inner.space, outer.space, inner.codes, link)
            at = np.where(keys >= 0, outer.find(np.maximum(keys, 0)), -1)
            for cell in np.flatnonzero(at >= 0).tolist():
                mine, theirs = cell_of[offsets[i] + cell], cell_of[offsets[j] + at[cell]]
                yield Row((int(mine),), (int(theirs),), AT_MOST, "among")
    for i, j, link in links_between(tables, within=False):
        if link.parts:
            yield from _unions(
                tables[i], tables[j], link, cell_of, (int(offsets[i]), int(offsets[j]))
            )


def moved(inner: Space, outer: Space, codes: Ints, link: Link, *, around: bool = False) -> Ints:
    """The keys, in the outer space, of the cells that hold the same records; -1 where none does.

    With `around`, of the smallest cells the link knows that hold all of each cell.
    """
    keys, lost = np.zeros(len(codes), np.int64), np.zeros(len(codes), np.bool_)
    named = _renamed(inner.service, outer.service, link)
    for at in range(len(inner.axes)):
        table = _translated(inner, outer, at, named, around=around)
        lost |= table[codes[:, at]] < 0
        keys += np.maximum(table[codes[:, at]], 0)
    for word in (f"{column}={value}" for column, value in link.where.items()):
        to = next(i for i, axis in enumerate(outer.axes) if word in axis.code)
        keys += outer.axes[to].code[word] * outer.strides[to]
    return np.where(lost, -1, keys)


def _translated(
    inner: Space, outer: Space, at: int, named: Mapping[str, str], *, around: bool
) -> Ints:
    """What each code of an inner axis adds to the outer key; -1: the outer has no such cell."""
    axis = inner.axes[at]
    table = np.full(len(axis.words), -1, np.int64)
    met_at = (i for i, o in enumerate(outer.axes) if _meet(axis.columns, o.columns, named))
    to = at if at < _PLACES else next(met_at, -1)
    if at >= _PLACES:
        table[0] = 0
    for code in np.argsort(axis.level, kind="stable").tolist():
        column, _, value = axis.words[code].partition("=")
        said = axis.words[code] if at < _PLACES else f"{named.get(column, '')}={value}"
        if to >= 0 and said in outer.axes[to].code:
            table[code] = outer.axes[to].code[said] * outer.strides[to]
        elif around and axis.parent[code] >= 0:
            table[code] = table[axis.parent[code]]
    return table


def _meet(mine: Iterable[str], theirs: Iterable[str], named: Mapping[str, str]) -> bool:
    return bool({named[c] for c in mine if c in named} & {*theirs})


def _renamed(inner: Service, outer: Service, link: Link) -> dict[str, str]:
    mine, theirs = ({dim.name: dim for dim in s.dims} for s in (inner, outer))
    return {
        column: other
        for name, there in link.dims.items()
        for column, other in zip(columns_of(mine[name]), columns_of(theirs[there]), strict=True)
    }


def _unions(
    inner: Tables, outer: Tables, link: Link, cell_of: Ints, first: tuple[int, int]
) -> Iterator[Row]:
    """Coarse bands of the one service as sums of the other's finer ones."""
    for coarse, fine in link.parts.items():
        at = next(i for i, axis in enumerate(inner.space.axes) if coarse in axis.columns)
        to = next(i for i, axis in enumerate(outer.space.axes) if fine in axis.columns)
        codes = inner.codes.copy()
        band = codes[:, at].copy()
        codes[:, at] = 0
        base = moved(inner.space, outer.space, codes, link)
        axis, fines = inner.space.axes[at], outer.space.axes[to]
        for code in range(1, len(axis.words)):
            value = axis.words[code].partition("=")[2]
            parts = [
                c for c, w in enumerate(fines.words) if c and contains(value, w.partition("=")[2])
            ]
            for cell in np.flatnonzero((band == code) & (base >= 0)).tolist():
                held = outer.find(base[cell] + np.array(parts) * outer.space.strides[to])
                inside = tuple(int(cell_of[first[1] + p]) for p in held if p >= 0)
                mine = int(cell_of[first[0] + cell])
                if inside and len(inside) == len(parts) and not inner.persons:
                    yield Row((mine,), inside, EQUAL, "bands")
                elif inside and not inner.persons:
                    yield Row(inside, (mine,), AT_MOST, "bands_within")


def unequal(system: System) -> Bools:
    """Unknowns whose published intervals do not meet: two figures of one cell contradict."""
    found: Bools = system.low > system.high + 1e-9
    return found
