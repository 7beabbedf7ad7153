"""Which person counts of two services nest, by the catalogue, and what their rests give away.

A service says in its contract whose persons its own are among (`disclosure.within`), or whose
records it counts too (`linked`), and which of the dims the two have in common. From that, each of
its cells has cells of the other service that contain it; nothing here knows a service by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from gateway.catalogue.model import Dim, Link, Service
from gateway.releases.kernel import Bools, Ints
from gateway.releases.sdc import Axis, Lattice
from gateway.releases.sdc.combined import Rests, rests, rests_within
from gateway.releases.sdc.nested import Counts, Step
from gateway.releases.shapes import coarser, columns_of, dims_by_column
from gateway.releases.spans import contains
from gateway.releases.table import Table

TOTAL = "*"


@dataclass(frozen=True)
class Labelled:
    """A lattice whose axes have names and whose codes have words; '' where a code has none."""

    lattice: Lattice
    words: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.lattice.axes)

    @property
    def unnamed(self) -> tuple[frozenset[int], ...]:
        """The codes of each axis that have no word."""
        return tuple(frozenset(i for i, word in enumerate(own) if not word) for own in self.words)

    def text(self, cell: int) -> str:
        """A cell in words, without its totals."""
        codes = self.lattice.codes[cell].tolist()
        words = (self.words[axis][code] for axis, code in enumerate(codes) if code)
        return "/".join(words)


@dataclass(frozen=True)
class Nest:
    """The persons of `inner` cells lie in those of `outer`; `link` says how their dims meet."""

    inner: str
    outer: str
    link: Link


def nests(services: Mapping[str, Service]) -> Iterator[Nest]:
    """Every pair of services with person counts of which one lies within the other."""
    counting = {s for s, service in services.items() if service.disclosure.person_measure}
    for name in sorted(counting):
        disclosure = services[name].disclosure
        for link in chain(disclosure.within, disclosure.linked):
            if link.service in counting:
                yield Nest(name, link.service, link)


def labelled(table: Table, lattice: Lattice) -> Labelled:
    """The lattice of a table being built, with words."""
    plan = table.plan
    geo = [TOTAL, *plan.cities, *plan.counties]
    words = [[TOTAL, *(f"{p.grain}={p.label}" for p in plan.periods)], geo]
    for columns in _hierarchies(plan.service):
        found = [TOTAL]
        for column in columns:
            domain = plan.domains[column]
            found += [f"{column}={value}" for value in domain.values] + [""] * domain.unmapped
        words.append(found)
    return Labelled(lattice, tuple(map(tuple, words)))


def _hierarchies(service: Service) -> list[list[str]]:
    """The columns of each axis of the lattice, axes in contract order."""
    found: dict[str, list[str]] = {}
    for column in dims_by_column(service):
        top = column
        while (up := coarser(service, top)) is not None:
            top = up
        found.setdefault(top, []).append(column)
    return list(found.values())


@dataclass(frozen=True)
class Side:
    """One table of a search: its cells in words, exact and rounded figures, and which are shown."""

    table: Labelled
    persons: Ints
    shown: Bools
    rounded: Ints | None = None

    @property
    def counts(self) -> Counts:
        """As the search reads it; figures without exact ones beside are all that is known."""
        exact = self.rounded is not None
        of = self.table
        return Counts(of.lattice, self.persons, self.shown, self.rounded, exact, of.unnamed)


def rests_of(
    nest: Nest, services: Mapping[str, Service], outer: Side, inner: Side, k: int
) -> Rests:
    """Combinations across a nest, outer cells numbered first, that leave 1 … k−1 persons."""
    fine = replace(inner, table=_refined(nest, services, outer.table, inner.table))
    steps = _steps(nest, services, outer.table, fine.table)
    return rests(outer.counts, fine.counts, steps, k)


def rests_inside(side: Side, k: int) -> Rests:
    """Combinations inside one service that leave 1 … k−1 persons."""
    return rests_within(side.counts, k)


def _refined(
    nest: Nest, services: Mapping[str, Service], outer: Labelled, inner: Labelled
) -> Labelled:
    """The inner table with the outer's finer values of a dim as codes that no cell of it has.

    A band of ten years is two of five: known as codes, its two parts can be looked for outside.
    """
    axes, words = list(inner.lattice.axes), list(inner.words)
    for coarse, fine in nest.link.parts.items():
        (values,) = (d.values for d in services[nest.outer].dims if d.name == fine)
        at = next(i for i, own in enumerate(words) if any(w.startswith(f"{coarse}=") for w in own))
        whole = {w.partition("=")[2]: code for code, w in enumerate(words[at])}
        parents = [next(c for w, c in whole.items() if w and contains(w, v)) for v in values]
        axis = axes[at]
        above = np.concatenate([axis.parent, np.array(parents, np.int32)])
        axes[at] = replace(axis, size=axis.size + len(values), parent=above)
        words[at] = (*words[at], *(f"{fine}={value}" for value in values))
    return Labelled(Lattice(tuple(axes), inner.lattice.codes), tuple(words))


def _steps(
    nest: Nest, services: Mapping[str, Service], outer: Labelled, inner: Labelled
) -> tuple[Step, ...]:
    """How each outer axis is read off an inner cell."""
    renamed = _columns(services[nest.inner], services[nest.outer], nest.link)
    renamed = renamed | {fine: fine for fine in nest.link.parts.values()}
    fixed = {f"{column}={value}" for column, value in nest.link.where.items()}
    return tuple(_step(outer, inner, axis, renamed, fixed) for axis in range(len(outer.words)))


def _columns(inner: Service, outer: Service, link: Link) -> dict[str, str]:
    """Inner columns that mean the same as an outer column."""
    mine, theirs = _dims(inner), _dims(outer)
    return {
        column: other
        for name, there in link.dims.items()
        for column, other in zip(columns_of(mine[name]), columns_of(theirs[there]), strict=True)
    }


def _dims(service: Service) -> dict[str, Dim]:
    return {dim.name: dim for dim in service.dims}


def _step(
    outer: Labelled, inner: Labelled, axis: int, renamed: Mapping[str, str], fixed: set[str]
) -> Step:
    words = outer.words[axis]
    for code, word in enumerate(words):
        if word in fixed:
            return -1, np.array([code], np.int64)
    place = {word: code for code, word in enumerate(words) if word}
    for source, own in enumerate(inner.words):
        same = inner.names[source] == outer.names[axis] and axis < 2
        meant = list(own) if same else [_renamed(word, renamed) for word in own]
        if any(word != TOTAL and word in place for word in meant):
            return source, np.array([place.get(word, -1) for word in meant], np.int64)
    return -1, np.zeros(1, np.int64)


def _renamed(word: str, renamed: Mapping[str, str]) -> str:
    """An inner word as the outer service says it; '' where the two share no such column."""
    if word == TOTAL:
        return word
    column, _, value = word.partition("=")
    return f"{renamed[column]}={value}" if column in renamed else ""


def axis_of(name: str, parents: Sequence[int], *, adds_up: bool) -> Axis:
    """An axis of published cells."""
    return Axis(name, len(parents), np.array([-1, *parents], np.int32), adds_up)
