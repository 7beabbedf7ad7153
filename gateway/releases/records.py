"""The records that cells of linked services count, with every service's dims: who lies in what.

Read beside the facts, one row per record, and never published. With them it is seen which cells lie
inside each other by what the records are, although the catalogue knows no roll-up between them.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.releases.domains import OTHER, listed, recoded
from gateway.releases.facts import city_of, label_of
from gateway.releases.kernel import Bools, Ints, mixed
from gateway.releases.shapes import dims_by_column
from gateway.releases.source import Atoms, Query, Source, Words

_FIXED = {"period_m", "geo_county", "geo_city", "psn_no", "fixmedins_code", "counting", "magnitude"}


@dataclass(frozen=True)
class Records:
    """One row per record: its words by column, whose it is, and its amount (fixed point)."""

    words: Mapping[str, Words]
    amount: Ints

    def __len__(self) -> int:
        return len(self.amount)

    @property
    def person(self) -> Ints:
        """A number for each record's person."""
        return self.words["psn_no"].codes.astype(np.int64)

    def take(self, chosen: Bools) -> Records:
        """Some of the records."""
        words = {name: replace(of, codes=of.codes[chosen]) for name, of in self.words.items()}
        return Records(words, self.amount[chosen])

    def during(self, spans: Container[tuple[str, str]]) -> Records:
        """The records of some periods, each given as grain and label."""
        months = self.words["period_m"]
        inside = [any((g, label_of(m, g)) in spans for g in Grain) for m in months.values]
        return self.take(np.array(inside)[months.codes])

    def inside(self, grid: Grid) -> tuple[Ints, Ints]:
        """(place in the grid, record) for every cell and each of its records."""
        place = [grid.numbered(c, self.words[c]) for c in grid.columns]
        found = []
        for grain, level in product(dict.fromkeys(g for g, _ in grid.spans), (str, city_of)):
            span = self._told("period_m", [m if g == grain else None for g, m in grid.spans], grain)
            geo = self.words["geo_county"]
            places = {name: i for i, name in enumerate(grid.places)}
            where = np.array([places.get(level(c), -1) for c in geo.values])[geo.codes]
            parts = [span, where, *place]
            code = mixed(parts, [1, len(grid.places), *map(len, grid.values)], len(self))
            cell = np.minimum(np.searchsorted(grid.keys, code), len(grid.keys) - 1)
            same = np.logical_and.reduce([grid.keys[cell] == code, *(p >= 0 for p in parts)])
            found.append((cell[same], np.flatnonzero(same)))
        cells, records = zip(*found, strict=True)
        return np.concatenate(cells), np.concatenate(records)

    def _told(self, column: str, labels: Sequence[str | None], grain: str) -> Ints:
        months = self.words[column]
        place = {label: i for i, label in enumerate(labels) if label}
        spans = [place.get(label_of(month, Grain(grain)), -1) for month in months.values]
        return np.array(spans, np.int64)[months.codes]


@dataclass(frozen=True)
class Grid:
    """Cells over the same columns: `keys`, ascending, mix span, place and the columns' codes."""

    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    spans: Sequence[tuple[str, str]]
    places: Sequence[str]
    keys: Ints

    def numbered(self, column: str, words: Words) -> Ints:
        """The code of each record on a column; -1 for none."""
        place = {value: i for i, value in enumerate(self.values[self.columns.index(column)])}
        table = [place.get(word, place.get(OTHER, -1)) for word in words.values]
        return np.array([*table, place.get(OTHER, -1)], np.int64)[words.codes]


def wanted(source: Source, sql: str) -> Query:
    """The query of a service's records, as it is read: row by row, with every column it has."""
    columns = [name for name in source.columns(sql) if name not in _FIXED]
    return source.wanted(sql, columns, (), each=True)


def read_records(
    catalogue: Catalogue, service: Service, source: Source, hidden: Mapping[str, frozenset[str]]
) -> Records | None:
    """All records a service names in its contract; `hidden` codes, by column, as rolled up."""
    sql = catalogue.records_sql(service)
    return None if sql is None else as_records(service, source.atoms(wanted(source, sql)), hidden)


def as_records(service: Service, atoms: Atoms, hidden: Mapping[str, frozenset[str]]) -> Records:
    """Rows of the query as records, those that count."""
    words = {**atoms.words, **dict(_rolled_up(service, atoms, hidden))}
    found = Records(words, atoms.numbers["magnitude"])
    return found.take(atoms.numbers["counting"] > 0)


def _rolled_up(
    service: Service, atoms: Atoms, hidden: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, Words]]:
    dims = dims_by_column(service)
    for column, codes in hidden.items():
        words = atoms.words[column]
        moved, _ = recoded(listed(dims[column], column), codes)
        yield column, replace(words, values=tuple(moved.get(w, w) for w in words.values))
