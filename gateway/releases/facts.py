"""A service's facts as coded rows: every dim a number of its closed list, ready to be grouped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gateway.catalogue.model import Grain, Service
from gateway.releases.domains import Encoded
from gateway.releases.kernel import Ints, Rows, narrow
from gateway.releases.shapes import fact_columns
from gateway.releases.source import Atoms

SUMMED = ("counting", "magnitude")


@dataclass(frozen=True)
class Coded:
    """One fact, sorted by month. `rows` carry keys, `counting` and `magnitude`, then its sums."""

    name: str
    columns: tuple[str, ...]
    sums: tuple[str, ...]
    scales: Mapping[str, int]
    rows: Rows
    months: Ints
    records: Mapping[str, Ints] = field(default_factory=dict)
    present: Mapping[str, Ints] = field(default_factory=dict)
    stock: bool = False

    def cut(self, first: int, last: int) -> Coded:
        """The rows of the months `first` to `last`, copied, so that the others can be let go."""
        low, high = np.searchsorted(self.months, [first, last + 1])
        part = slice(int(low), int(high))
        return replace(
            self,
            rows=Rows(
                {name: values[part].copy() for name, values in self.rows.keys.items()},
                self.rows.sums[:, part].copy(),
            ),
            months=self.months[part].copy(),
            records={name: values[part].copy() for name, values in self.records.items()},
            present={name: values[part].copy() for name, values in self.present.items()},
        )

    def window(self, span: Sequence[Period]) -> Window:
        """The rows of neighbouring periods of one grain; `slot` says which period a row is in."""
        low, high = np.searchsorted(self.months, [span[0].first, span[-1].last + 1])
        cut = slice(int(low), int(high))
        rows = self.rows.between(int(low), int(high))
        slots = np.repeat(np.arange(len(span)), [p.last - p.first + 1 for p in span])
        slot = slots[self.months[cut] - span[0].first]
        found = Window(
            self,
            Rows({**rows.keys, "slot": slot}, rows.sums),
            {name: values[cut] for name, values in self.records.items()},
            {name: values[cut] for name, values in self.present.items()},
        )
        if not self.stock:
            return found
        last = np.array([period.last for period in span], np.int64)
        return found.only(np.flatnonzero(self.months[cut] == last[slot]))


@dataclass(frozen=True)
class Window:
    """The rows of some neighbouring periods of a fact."""

    fact: Coded
    rows: Rows
    records: Mapping[str, Ints]
    present: Mapping[str, Ints]

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, index: Ints) -> Window:
        """Some of the rows."""
        return replace(
            self,
            rows=self.rows.take(index),
            records={name: values[index] for name, values in self.records.items()},
            present={name: values[index] for name, values in self.present.items()},
        )


def columns_wanted(service: Service, fact: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of a fact that measures add up, and those they read record by record."""
    own = [measure.define for measure in service.measures if measure.define.source == fact]
    sums = (column for define in own for column in define.sums)
    records = (column for define in own for column in define.records)
    return tuple(dict.fromkeys(sums)), tuple(dict.fromkeys(records))


@dataclass(frozen=True)
class Shared:
    """Lists that all facts of a service share."""

    months: tuple[str, ...]
    counties: tuple[str, ...]
    cities: tuple[str, ...]
    institutions: tuple[str, ...]
    makers: tuple[str, ...]


def shared_lists(atoms: Mapping[str, Atoms]) -> Shared:
    """Every month, place, institution and maker that occurs in a fact, sorted."""

    def union(word: str) -> tuple[str, ...]:
        held = [a.words[word].values for a in atoms.values() if word in a.words]
        return tuple(sorted({value for values in held for value in values}))

    counties = union("geo_county")
    cities = tuple(sorted({city_of(county) for county in counties}))
    return Shared(union("period_m"), counties, cities, union("fixmedins_code"), union("maker"))


def city_of(county: str) -> str:
    """The pooling city of a county."""
    return county[:4] + "00"


def coded(service: Service, name: str, atoms: Atoms, encoded: Encoded, shared: Shared) -> Coded:
    """The atoms of one fact as coded rows, sorted by month."""
    columns = fact_columns(service, service.facts[name])
    sums, records = columns_wanted(service, name)
    keys = {c: encoded.codes[name, c] for c in columns}
    keys["county"] = _places(atoms, "geo_county", shared.counties)
    city = np.array([shared.cities.index(city_of(c)) for c in shared.counties], np.int64)
    keys["city"] = city[keys["county"]]
    keys["person"] = atoms.words["psn_no"].codes.astype(np.int64)
    keys["inst"] = _places(atoms, "fixmedins_code", shared.institutions)
    if "maker" in atoms.words:
        keys["maker"] = _places(atoms, "maker", shared.makers)
    months = _places(atoms, "period_m", shared.months)
    order = np.argsort(months, kind="stable")
    lines = np.stack([atoms.numbers[n] for n in (*SUMMED, *sums)])
    return Coded(
        name,
        columns,
        sums,
        atoms.scales,
        Rows({name: narrow(values)[order] for name, values in keys.items()}, lines[:, order]),
        months[order],
        {c: atoms.numbers[c][order] for c in records},
        {c: atoms.present[c].astype(np.int64)[order] for c in records},
        service.facts[name].stock,
    )


def _places(atoms: Atoms, word: str, values: Sequence[str]) -> Ints:
    """Places in a shared list; one more, at the end, stands for none."""
    place = {value: i for i, value in enumerate(values)}
    words = atoms.words[word]
    return np.array([*(place[v] for v in words.values), len(values)], np.int64)[words.codes]


@dataclass(frozen=True)
class Period:
    """One published period and the months (places in the month list) it spans."""

    grain: Grain
    label: str
    first: int
    last: int


def label_of(month: str, grain: Grain) -> str:
    """The period of a grain that a month 'YYYY-MM' lies in."""
    if grain is Grain.MONTH:
        return month
    quarter = (int(month[5:]) + 2) // 3
    return month[:4] if grain is Grain.YEAR else f"{month[:4]}Q{quarter}"


def periods(months: Sequence[str], grains: Sequence[Grain]) -> tuple[Period, ...]:
    """Every period of the grains that has data, in order."""
    found = []
    for grain in grains:
        labels = [label_of(month, grain) for month in months]
        for text in dict.fromkeys(labels):
            first = labels.index(text)
            found.append(Period(grain, text, first, first + labels.count(text) - 1))
    return tuple(found)
