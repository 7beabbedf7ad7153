"""Search published person counts for a combination of up to three that leaves 1 … k−1.

Sees what a client sees, in one release or in those of two services whose persons nest; rounding is
no excuse, since a reader cannot tell a rounded rest from a true one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gateway.catalogue.model import Grain, Service
from gateway.releases.across import (
    TOTAL,
    Labelled,
    Nest,
    Side,
    axis_of,
    rests_inside,
    rests_of,
)
from gateway.releases.facts import city_of, label_of
from gateway.releases.listing import Listed
from gateway.releases.manifest import Manifest
from gateway.releases.sdc import Lattice
from gateway.releases.sdc.combined import Rests

Cell: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """The person counts one profile publishes of a service in one season, and the fewest it may."""

    side: Side
    least: int

    @classmethod
    def of(
        cls, manifest: Manifest, figures: Mapping[Cell, int], least: int, adds_up: frozenset[str]
    ) -> Published:
        """Counts by cell (a word per axis); `adds_up` are axes on which a person has one value."""
        words = _words(manifest)
        places = [{word: code for code, word in enumerate(axis)} for axis in words]
        codes = np.array(
            [[place[w] for place, w in zip(places, cell, strict=True)] for cell in figures],
            np.int32,
        ).reshape(len(figures), len(words))
        axes = tuple(
            axis_of(
                name,
                [_place(manifest, i, word, places[i]) for word in words[i][1:]],
                adds_up=name in adds_up,
            )
            for i, name in enumerate(_names(manifest))
        )
        counts = np.fromiter(figures.values(), np.int64, len(figures))
        table = Labelled(Lattice(axes, codes), words)
        return cls(Side(table, counts, np.ones(counts.size, np.bool_)), least)


def longest(manifests: Iterable[Manifest]) -> Grain:
    """The longest period any of the releases publishes."""
    order = list(Grain)
    return max((Grain(grain) for of in manifests for grain in of.periods), key=order.index)


def by_season(
    manifest: Manifest,
    rows: Iterable[Listed],
    least: int,
    grain: Grain,
    service: Service | None,
) -> dict[str, Published]:
    """What is published, by periods as long as `grain`: nothing adds these up.

    Without the service's contract only places are known to have their own persons.
    """
    dims = service.dims if service else ()
    adds_up = frozenset({"geo", *(dim.name for dim in dims if dim.partition)})
    figures: dict[str, dict[Cell, int]] = {}
    for cell, count in _figures(manifest, rows).items():
        period, label = cell[0].split("=")
        figures.setdefault(_season(period, label, grain), {})[cell] = count
    return {season: Published.of(manifest, own, least, adds_up) for season, own in figures.items()}


def _season(period: str, label: str, grain: Grain) -> str:
    if period == grain:
        return label
    return label_of(label, grain) if period == Grain.MONTH else label[:4]


def alone(of: Published) -> Iterator[str]:
    """Each dangerous combination within one service as a sentence without figures."""
    for plus, minus in _told(rests_inside(of.side, of.least)):
        yield _sentence(
            [of.side.table.text(i) for i in plus], [of.side.table.text(i) for i in minus]
        )


def between(
    nest: Nest, services: Mapping[str, Service], outer: Published, inner: Published
) -> Iterator[str]:
    """Each dangerous combination of two services' figures as a sentence without figures."""
    first = len(outer.side.persons)

    def text(cell: int) -> str:
        if cell < first:
            return f"{nest.outer} {outer.side.table.text(cell)}"
        return f"{nest.inner} {inner.side.table.text(cell - first)}"

    least = max(outer.least, inner.least)
    for plus, minus in _told(rests_of(nest, services, outer.side, inner.side, least)):
        yield _sentence([text(i) for i in plus], [text(i) for i in minus])


def _told(of: Rests) -> Iterator[tuple[list[int], list[int]]]:
    for plus, minus in zip(of.plus.tolist(), of.minus.tolist(), strict=True):
        yield [i for i in plus if i >= 0], [i for i in minus if i >= 0]


def _sentence(plus: list[str], minus: list[str]) -> str:
    return f"{' plus '.join(plus)} less {' and '.join(minus)}"


def _names(manifest: Manifest) -> tuple[str, ...]:
    return ("period", "geo", *dict.fromkeys(_roots(manifest).values()))


def _words(manifest: Manifest) -> tuple[tuple[str, ...], ...]:
    """The words of each axis's codes, the total first."""
    roots = _roots(manifest)
    periods = (TOTAL, *(f"{grain}={label}" for grain, label in manifest.blocks))
    found = [periods, (TOTAL, *manifest.geo)]
    for root in dict.fromkeys(roots.values()):
        columns = [column for column in roots if roots[column] == root]
        values = (f"{c}={value}" for c in columns for value in manifest.levels[c].values)
        found.append((TOTAL, *values))
    return tuple(found)


def _place(manifest: Manifest, axis: int, word: str, places: Mapping[str, int]) -> int:
    """The code one step above a word; -1 where nothing published lies there."""
    up = _coarser(manifest, axis, word)
    return -1 if up is None else places[up]


def _figures(manifest: Manifest, rows: Iterable[Listed]) -> dict[Cell, int]:
    at = [measure.name for measure in manifest.measures].index(str(manifest.person_measure))
    roots = _roots(manifest)
    found = {}
    for row in rows:
        if row.marks[at] == "r":
            by_root = {roots[column]: f"{column}={value}" for column, value in row.values}
            dims = (by_root.get(root, TOTAL) for root in dict.fromkeys(roots.values()))
            count = row.figures[at]
            found[(f"{row.grain}={row.period}", row.geo, *dims)] = int(str(count))
    return found


def _roots(manifest: Manifest) -> dict[str, str]:
    """The coarsest column above each column: its axis."""

    def root(column: str) -> str:
        up = manifest.levels[column].coarser
        return column if up is None else root(up)

    return {column: root(column) for column in manifest.levels}


def _coarser(manifest: Manifest, axis: int, code: str) -> str | None:
    """The next coarser value on an axis of a cell; None where there is nothing above."""
    if axis == 0:
        grain, label = code.split("=")
        quarters = manifest.periods.get("quarter", ())
        wider = label_of(label, Grain.QUARTER) if grain == "month" else ""
        return f"quarter={wider}" if wider in quarters else None
    if axis == 1:
        city = city_of(code)
        return city if city != code and city in manifest.geo else None
    if code == TOTAL:
        return None
    column, value = code.split("=", 1)
    level = manifest.levels[column]
    if level.coarser is None:
        return TOTAL
    parent = level.parents[level.values.index(value)]
    return f"{level.coarser}={manifest.levels[level.coarser].values[parent]}"
