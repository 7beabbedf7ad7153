"""Lineage of a service: from the warehouse's columns through its facts to each answered column.

Three things act on a released figure. What it is made of and chosen by, down its definition to the
columns of its facts. Which records stand behind it: the rows of those facts and the cell they are
grouped into. And whether it is shown at all: disclosure control weighs persons, institutions and
amounts over the whole lattice, so that is the same for every figure of a service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from gateway.catalogue.kinds import Banded, CountBand, Kind, Persons
from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Dim, Measure, Service
from gateway.releases.engine.sql import Library
from gateway.releases.lineage.columns import Traced
from gateway.releases.lineage.own import ViewLineage, own_lineage
from gateway.releases.lineage.reads import NOTHING, Act, Reads, together
from gateway.releases.shapes import columns_of, fact_columns

PERIOD, PLACE = "period_m", "geo_county"
_PERSON, _HOUSE, _MAKER, _COUNTS, _WEIGHS = (
    "psn_no", "fixmedins_code", "maker", "counting", "magnitude",
)  # fmt: skip
_JUDGED = (_PERSON, _HOUSE, _MAKER, _COUNTS, _WEIGHS)
"""What disclosure control reads of a fact besides the cell a row lies in."""

_CONTROL = "disclosure control"


@dataclass(frozen=True)
class Lineage:
    """What every column of a service's answers rests on, and what its disclosure control reads.

    `beside` are the services whose cells are protected together with these: what hides one of
    theirs may hide one of these. `views` are its own rows, of which one institution is told each.
    """

    fields: Mapping[str, Reads]
    control: Reads
    beside: tuple[str, ...]
    views: tuple[ViewLineage, ...] = ()

    @property
    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Every table that is read, with the columns that matter, in the order of their names."""
        found: dict[str, set[str]] = {}
        views = (reads for view in self.views for reads in (*view.fields.values(), view.control))
        for reads in (*self.fields.values(), self.control, *views):
            for table, column in reads.columns:
                found.setdefault(table, set()).add(column)
        return {table: tuple(sorted(found[table])) for table in sorted(found)}


def lineage_of(catalogue: Catalogue, service: Service) -> Lineage:
    """The lineage of a service as its definitions stand; worked out once for each of these."""
    return _worked_out(_Known(catalogue, service, catalogue.definitions_digest(service)))


@dataclass(frozen=True, eq=False)
class _Known:
    """A service's definitions, the same as others if their digest is."""

    catalogue: Catalogue
    service: Service
    digest: str

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and other.digest == self.digest


@lru_cache(maxsize=128)
def _worked_out(known: _Known) -> Lineage:
    catalogue, service = known.catalogue, known.service
    library = Library.of(catalogue.rollups_sql(service))

    def traced(name: str, text: str) -> Traced:
        return Traced(name, library.expanded(f"{service.id}/{name}", text))

    facts = {name: traced(name, catalogue.fact_sql(service, name)) for name in service.facts}
    records = catalogue.records_sql(service)
    found = _Service(
        service, facts, traced("records", records) if records is not None else None
    ).lineage()
    return replace(found, views=own_lineage(catalogue, service))


@dataclass(frozen=True)
class _Service:
    """A service with its facts traced."""

    service: Service
    facts: Mapping[str, Traced]
    records: Traced | None

    def lineage(self) -> Lineage:
        named = {measure.name: measure for measure in self.service.measures}
        disclosure = self.service.disclosure
        return Lineage(
            {
                **(self._common() if self.facts else {}),
                **{dim.name: self._dim(dim) for dim in self.service.dims if not dim.pivot},
                **{
                    measure.name: self._measure(measure, named)
                    for measure in self.service.measures
                    if not measure.internal
                },
            },
            together(self._control()),
            tuple(sorted({link.service for link in (*disclosure.linked, *disclosure.within)})),
        )

    def _common(self) -> dict[str, Reads]:
        """Period and place, which every cell has."""
        return {"period": together(self._values(PERIOD)), "geo": together(self._values(PLACE))}

    def _value(self, fact: str, column: str) -> Reads:
        """The values of a fact's column; of one it does not have, nothing."""
        traced = self.facts[fact]
        if column not in traced.names:
            return NOTHING
        return traced.column(column).at(f"{fact}.{column}")

    def _values(self, column: str) -> Iterator[Reads]:
        return (self._value(fact, column) for fact in self.facts)

    def _dim(self, dim: Dim) -> Reads:
        """Its values; of words that the definition itself writes, the records that bear them."""
        columns = columns_of(dim)
        found = together(reads for column in columns for reads in self._values(column))
        if not found.paths:
            found = together(one.rows for one in self.facts.values() if {*columns} & {*one.names})
        return found.at(dim.name)

    def _measure(self, measure: Measure, named: Mapping[str, Measure]) -> Reads:
        define = measure.define
        parts = (
            self._measure(named[part.measure], named).acting(Act.TRANSFORMATION)
            for part in define.parts
        )
        own = self._of_fact(measure, define.source) if define.source is not None else ()
        return together((*parts, *own)).at(measure.name)

    def _of_fact(self, measure: Measure, fact: str) -> Iterator[Reads]:
        define = measure.define
        for column in _made_of(define):
            yield self._value(fact, column).acting(Act.AGGREGATION)
        for column in (*_chosen_by(define), *measure.at):
            yield self._value(fact, column).acting(Act.FILTER)
        for column in self._cell(fact):
            yield self._value(fact, column).acting(Act.GROUP_BY)
        yield self.facts[fact].rows

    def _cell(self, fact: str) -> tuple[str, ...]:
        """What says in which cell a row of the fact lies."""
        return (PERIOD, PLACE, *fact_columns(self.service, self.service.facts[fact]))

    def _control(self) -> Iterator[Reads]:
        side = self.service.disclosure.side
        for fact, traced in self.facts.items():
            decides = fact not in side or fact == "exposure"
            columns = (*self._cell(fact), *_JUDGED) if decides else (PERIOD, PLACE)
            found = [self._value(fact, column) for column in columns]
            rows = traced.rows if decides else NOTHING
            yield together((*found, rows)).acting(Act.FILTER, _CONTROL)
        if self.records is not None:
            every = (self.records.column(name) for name in self.records.names)
            yield together((*every, self.records.rows)).acting(Act.FILTER, _CONTROL)


def _made_of(define: Kind) -> tuple[str, ...]:
    """The columns of its fact whose values a figure is made of."""
    if isinstance(define, Persons):
        return (_PERSON,)
    if isinstance(define, CountBand):
        return (_HOUSE,)
    if isinstance(define, Banded):
        return (_WEIGHS, _MAKER if define.stat == "hhi_maker" else _HOUSE)
    return (*define.sums, *define.records) or _JUDGED


def _chosen_by(define: Kind) -> Iterable[str]:
    """The columns of its fact that say which rows count for a figure."""
    if isinstance(define, Persons):
        return (_COUNTS,)
    return (_PERSON,) if define.records else ()
