"""The cells of one service as an outsider lays them out: axes, roll-ups, which shapes exist.

Read from manifests and the contract alone. A cell is one whole number, mixed from a code per axis;
nothing here knows how tables are protected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.catalogue.model import Grain, Measure, Service
from gateway.releases.facts import city_of, label_of
from gateway.releases.manifest import Manifest
from gateway.releases.shapes import applies

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
TOTAL = "*"


@dataclass(frozen=True)
class Axis:
    """One axis: a word per code, the code one step above (-1: none), how many steps deep it lies.

    `alone` says that a person has one value; `covers` that the values below one hold all of it.
    """

    name: str
    words: tuple[str, ...]
    parent: Ints
    level: Ints
    columns: tuple[str, ...]
    alone: bool
    covers: bool

    @cached_property
    def below(self) -> tuple[Ints, Ints]:
        """Where the codes one step below each code begin and end, and these codes."""
        order = np.argsort(self.parent, kind="stable")
        edges = np.searchsorted(self.parent[order], np.arange(self.parent.size + 1))
        return edges, order

    @cached_property
    def code(self) -> Mapping[str, int]:
        return {word: i for i, word in enumerate(self.words)}


@dataclass(frozen=True)
class Space:
    """All cells that releases of one service can hold in one season."""

    service: Service
    season: str
    axes: tuple[Axis, ...]
    shapes: frozenset[tuple[str, ...]]
    zeros: tuple[Mapping[str, tuple[str, ...]], ...]

    @cached_property
    def strides(self) -> Ints:
        sizes = [len(axis.words) for axis in self.axes]
        return np.array([int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))], np.int64)

    def codes(self, keys: Ints) -> Ints:
        """One row per cell, one code per axis."""
        sizes = np.array([len(axis.words) for axis in self.axes], np.int64)
        found: Ints = (keys[:, None] // self.strides) % sizes
        return found

    def columns_of(self, levels: Sequence[int]) -> tuple[str, ...]:
        """The columns that a cell of these levels names, in the order of the axes."""
        dims = zip(self.axes[2:], levels[2:], strict=True)
        return tuple(axis.columns[level - 1] for axis, level in dims if level)

    def text(self, key: int) -> str:
        """A cell in words, totals left out: `S02 2024Q1/990100/gend=1`."""
        codes = self.codes(np.array([key]))[0].tolist()
        words = [axis.words[code] for axis, code in zip(self.axes, codes, strict=True)]
        return f"{self.service.id} " + "/".join(word for word in words if word != TOTAL)

    @cached_property
    def _barred(self) -> tuple[tuple[tuple[int, Bools], ...], ...]:
        """For each impossible combination its axes, and which codes of each it names."""
        found = []
        for rule in self.zeros:
            own = []
            for column, values in rule.items():
                at = next(i for i, axis in enumerate(self.axes) if column in axis.columns)
                named = [self.axes[at].code[f"{column}={value}"] for value in values]
                own.append((at, _under(self.axes[at], np.array(named, np.int64))))
            found.append(tuple(own))
        return tuple(found)

    def impossible(self, codes: Ints) -> Bools:
        """Cells in which the contract says that nothing can be."""
        found = np.zeros(len(codes), np.bool_)
        for rule in self._barred:
            holds = np.ones(len(codes), np.bool_)
            for at, named in rule:
                holds &= named[codes[:, at]]
            found |= holds
        return found


def _under(axis: Axis, tops: Ints) -> Bools:
    """Codes that are one of the tops or lie below one."""
    found = np.isin(np.arange(len(axis.words)), tops)
    for code in np.argsort(axis.level, kind="stable"):
        if axis.parent[code] >= 0:
            found[code] |= found[axis.parent[code]]
    return found


def answered(space: Space, measure: Measure) -> frozenset[tuple[str, ...]]:
    """The shapes (as sets of columns, sorted) whose cells can carry a measure."""
    return frozenset(s for s in space.shapes if applies(space.service, measure, s))


def season_of(grain: str, label: str, longest: Grain) -> str:
    """The period as long as `longest` that a period lies in."""
    if grain == longest:
        return label
    return label_of(label, longest) if grain == Grain.MONTH else label[:4]


def space_of(service: Service, season: str, longest: Grain, of: Iterable[Manifest]) -> Space:
    """The space of a service's releases in one season, whatever each of them holds."""
    manifests = list(of)
    blocks = dict.fromkeys(
        block for m in manifests for block in m.blocks if season_of(*block, longest) == season
    )
    geo = dict.fromkeys(place for m in manifests for place in m.geo)
    dims = _dim_axes(service, manifests)
    return Space(
        service,
        season,
        (_period_axis(list(blocks)), _geo_axis(list(geo)), *dims),
        frozenset(tuple(sorted(shape)) for m in manifests for shape in m.shapes),
        tuple(_agreed(manifests)),
    )


def _agreed(manifests: Sequence[Manifest]) -> Iterable[Mapping[str, tuple[str, ...]]]:
    """Impossible combinations that every release states."""
    first, *others = manifests
    return [
        rule for rule in first.structural_zeros if all(rule in m.structural_zeros for m in others)
    ]


def _period_axis(blocks: Sequence[tuple[str, str]]) -> Axis:
    words = [label for _, label in blocks]
    order = list(Grain)
    parent, level = np.full(len(blocks), -1, np.int64), np.zeros(len(blocks), np.int64)
    grains = sorted({Grain(g) for g, _ in blocks}, key=order.index, reverse=True)
    for i, (grain, label) in enumerate(blocks):
        level[i] = grains.index(Grain(grain))
        coarser = grains[level[i] - 1] if level[i] else None
        if coarser is not None and season_of(grain, label, coarser) in words:
            parent[i] = words.index(season_of(grain, label, coarser))
    whole = all(len(kids) == 3 for p, kids in _kids(parent).items())
    return Axis("period", tuple(words), parent, level, (), alone=False, covers=whole)


def _kids(parent: Ints) -> Mapping[int, Ints]:
    return {int(p): np.flatnonzero(parent == p) for p in np.unique(parent) if p >= 0}


def _geo_axis(places: Sequence[str]) -> Axis:
    parent = np.array(
        [
            places.index(city_of(p)) if city_of(p) in places and city_of(p) != p else -1
            for p in places
        ],
        np.int64,
    )
    level = (parent >= 0).astype(np.int64)
    return Axis("geo", tuple(places), parent, level, (), alone=True, covers=True)


def _dim_axes(service: Service, manifests: Sequence[Manifest]) -> Iterable[Axis]:
    levels = {column: one for m in manifests for column, one in m.levels.items()}
    alone = {dim.name for dim in service.dims if dim.partition}
    roots: dict[str, list[str]] = {}
    for column in levels:
        roots.setdefault(_root(levels, column), []).append(column)
    for root, columns in roots.items():
        order = sorted(columns, key=lambda column: _depth(levels, column))
        words, parent, level = [TOTAL], [-1], [0]
        for at, column in enumerate(order):
            one = levels[column]
            if one.coarser is None:
                parent += [0] * len(one.values)
            else:
                coarse = levels[one.coarser].values
                parent += [words.index(f"{one.coarser}={coarse[p]}") for p in one.parents]
            words += [f"{column}={value}" for value in one.values]
            level += [at + 1] * len(one.values)
        yield Axis(
            root,
            tuple(words),
            np.array(parent, np.int64),
            np.array(level, np.int64),
            tuple(order),
            alone=all(levels[c].dim in alone for c in order),
            covers=not any(m.unmapped.get(c, 0) for m in manifests for c in order),
        )


def _root(levels: Mapping[str, object], column: str) -> str:
    up = getattr(levels[column], "coarser", None)
    return column if up is None else _root(levels, up)


def _depth(levels: Mapping[str, object], column: str) -> int:
    up = getattr(levels[column], "coarser", None)
    return 0 if up is None else 1 + _depth(levels, up)
