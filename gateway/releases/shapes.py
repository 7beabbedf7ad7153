"""Which cells a release has: every permitted set of dims, and what can be measured in each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

from gateway.catalogue.model import Dim, Fact, Measure, Service

Columns: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """A set of dims cells are keyed by: one fact column per axis, contract order, pivot last."""

    columns: Columns
    pivot: str | None = None

    @property
    def n_dims(self) -> int:
        """Dims a client asked for; a pivot is never asked for."""
        return len(self.columns) - (self.pivot is not None)

    @property
    def text(self) -> str:
        return ",".join(self.columns)


def columns_of(dim: Dim) -> Columns:
    """The fact columns a dim stands for, coarse to fine."""
    return dim.levels or (dim.name,)


def dims_by_column(service: Service) -> dict[str, Dim]:
    """Every fact column of the lattice, with the dim it belongs to, in contract order."""
    return {column: dim for dim in service.dims for column in columns_of(dim)}


def fact_columns(service: Service, fact: Fact) -> Columns:
    """The lattice columns a fact carries."""
    named = {dim.name: columns_of(dim) for dim in service.dims}
    return tuple(column for name in fact.dims for column in named.get(name, (name,)))


def covers(service: Service, fact: Fact, columns: Columns) -> bool:
    """Whether the fact can tell cells of these columns apart, and is meant to."""
    needed = fact.requires_any
    return set(columns) <= set(fact_columns(service, fact)) and (
        not needed or bool(set(needed) & names_of(service, columns))
    )


def names_of(service: Service, columns: Columns) -> set[str]:
    """The contract names of the dims behind columns."""
    by_column = dims_by_column(service)
    return {by_column[column].name for column in columns}


def covering_fact(service: Service, columns: Columns) -> str | None:
    """The first fact, in contract order, that decides persons and shares of these cells."""
    side = service.disclosure.side
    return next(
        (n for n, f in service.facts.items() if n not in side and covers(service, f, columns)), None
    )


def coarser(service: Service, column: str) -> str | None:
    """The column one level up the same axis, or None at the top."""
    dim = dims_by_column(service)[column]
    levels = columns_of(dim)
    if column != levels[0]:
        return levels[levels.index(column) - 1]
    if dim.parent is None:
        return None
    return columns_of(next(d for d in service.dims if d.name == dim.parent))[-1]


def _forbidden(service: Service, names: set[str]) -> bool:
    return any(set(pair) <= names for pair in service.disclosure.forbid_together)


def _choices(service: Service, pivot: bool) -> list[Columns]:
    """The columns of each axis, axes in contract order."""
    axes: dict[str, list[str]] = {}
    for dim in service.dims:
        if dim.pivot == pivot:
            axes.setdefault(dim.axis, []).extend(columns_of(dim))
    return [tuple(columns) for columns in axes.values()]


def _plain(service: Service, max_dims: int) -> Iterator[Columns]:
    order = list(dims_by_column(service))
    axes = _choices(service, pivot=False)
    for size in range(min(max_dims, len(axes)) + 1):
        for chosen in combinations(axes, size):
            for columns in product(*chosen):
                if not _forbidden(service, names_of(service, columns)):
                    yield tuple(sorted(columns, key=order.index))


def shapes(service: Service, max_dims: int) -> tuple[Shape, ...]:
    """Every shape with up to `max_dims` dims that some fact covers, coarse before fine."""
    pivots = [column for axis in _choices(service, pivot=True) for column in axis]
    found = []
    for columns in _plain(service, max_dims):
        options = [Shape(columns), *(Shape((*columns, pivot), pivot) for pivot in pivots)]
        found += [s for s in options if covering_fact(service, s.columns) is not None]
    return tuple(found)


def rolled_over(service: Service, columns: Columns, over: Collection[str]) -> Columns:
    """The columns of the cell that one over `columns` lies in when the dims `over` are rolled up:
    on an axis with a hierarchy the next coarser column, else none."""
    found: list[str] = []
    for column in columns:
        if {column, dims_by_column(service)[column].name} & set(over):
            up = coarser(service, column)
            found += [up] if up is not None else []
        else:
            found.append(column)
    return tuple(found)


def _computable(
    service: Service, measure: Measure, columns: Columns, measures: Mapping[str, Measure]
) -> bool:
    define = measure.define
    if not all(
        _computable(
            service, measures[part.measure], rolled_over(service, columns, part.over), measures
        )
        for part in define.parts
    ):
        return False
    if define.source is None or define.source == "exposure":
        return True  # projected on the dims a person has without using anything
    return not set(measure.at) & set(columns) and covers(
        service, service.facts[define.source], (*columns, *measure.at)
    )


def applies(service: Service, measure: Measure, columns: Columns) -> bool:
    """Whether a cell of these columns can carry the measure."""
    names = names_of(service, columns)
    wanted = not measure.only_with or bool(names & set(measure.only_with))
    wanted &= set(measure.define.needs) <= names
    return (
        wanted
        and not names & set(measure.never_with)
        and _computable(service, measure, columns, {m.name: m for m in service.measures})
    )


def offered(service: Service, columns: Columns) -> tuple[str, ...]:
    """Names of the measures a query over these columns can ask for, in contract order."""
    return tuple(
        m.name for m in service.measures if not m.internal and applies(service, m, columns)
    )


@dataclass(frozen=True)
class Fit:
    """What the cells of a shape can carry, by name.

    `main` is the fact that decides persons and shares, `facts` those that tell the cells apart.
    """

    main: str | None
    facts: frozenset[str]
    measures: frozenset[str]


def fit(service: Service, shape: Shape) -> Fit:
    """Look it all up once: a build asks for every measure of every shape in every season."""
    columns = shape.columns
    return Fit(
        covering_fact(service, columns),
        frozenset(name for name, fact in service.facts.items() if covers(service, fact, columns)),
        frozenset(
            measure.name
            for measure in service.measures
            if shape.pivot is None and applies(service, measure, columns)
        ),
    )
