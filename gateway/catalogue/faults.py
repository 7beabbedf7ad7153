"""What can be wrong with a contract, each fault a sentence that names the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from gateway.catalogue.kinds import Persons, Ratio
from gateway.catalogue.model import Measure, Service
from gateway.catalogue.own import SUBJECT, own_faults
from gateway.catalogue.subject import EXPOSURE, subject_faults
from gateway.errors import OperatorError

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


class CatalogueError(OperatorError):
    """A catalogue document cannot be used; the message names file and field."""

    title = "The catalogue is not valid"


def invalid(path: Path, error: ValidationError, where: str = "") -> CatalogueError:
    """The first thing that is wrong with the form of a document."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return CatalogueError("catalogue_invalid", f"{path}: {where}{field}: {first['msg']}")


def faults(service: Service, folder: Path) -> Iterator[str]:
    """References that point nowhere, and definitions that would give nothing or nonsense."""
    measures = {measure.name: measure for measure in service.measures}
    if len(measures) < len(service.measures):
        yield "measures: a name appears twice"
    if EXPOSURE not in service.facts and service.disclosure.subject not in {"open", SUBJECT}:
        yield "facts: there is no `exposure` fact"
    if service.tariff.unit == "per_query":
        yield "tariff.unit: per_query is of services that count cohorts"
    yield from _files(service, folder)
    yield from _dims(service)
    dims = {dim.name for dim in service.dims}
    for name, fact in service.facts.items():
        unknown = {*fact.dims, *fact.requires_any} - dims
        yield from (f"facts.{name}.dims: unknown {dim}" for dim in sorted(unknown))
        if fact.stock and name not in service.disclosure.side:
            yield f"facts.{name}.stock: balances cover no cells; name it in disclosure.side"
    for measure in service.measures:
        yield from (f"measures.{measure.name}{text}" for text in _measure(service, measure))
    if not any(text for m in service.measures for text in _definition(service, m)):
        yield from _circles(measures)
        yield from _late(measures)
    yield from _person_measure(service, measures)
    yield from subject_faults(service)
    yield from own_faults(service, folder)


def _dims(service: Service) -> Iterator[str]:
    """Hierarchies inside the service: a level is protected below the one it rolls up to."""
    axes = {dim.name: dim.axis for dim in service.dims}
    if len(axes) < len(service.dims):
        yield "dims: a name appears twice"
    for dim in service.dims:
        yield from (
            f"dims: {n!r} is no name of a column" for n in dim.levels if not _NAME.fullmatch(n)
        )
        if dim.sensitive and dim.name not in service.disclosure.sensitive_dims:
            yield f"disclosure.sensitive_dims: {dim.name} is sensitive and not in it"
        if dim.parent is not None and axes.get(dim.parent) != dim.axis:
            yield f"dims: {dim.name} has the parent {dim.parent}, no dim here of its axis"


def _files(service: Service, folder: Path) -> Iterator[str]:
    named = {f"facts.{name}.query": fact.queries for name, fact in service.facts.items()}
    records = service.disclosure.records
    named |= {"disclosure.records": (records,)} if records else {}
    for field, queries in named.items():
        if len(set(queries)) < len(queries):
            yield f"{field}: a file appears twice"
        yield from (f"{field}: {q} does not exist" for q in queries if not (folder / q).is_file())


def _measure(service: Service, measure: Measure) -> Iterator[str]:
    dims = {dim.name: dim for dim in service.dims}
    unknown = {*measure.only_with, *measure.never_with, *measure.at} - dims.keys()
    yield from (f": unknown dim {dim}" for dim in sorted(unknown))
    yield from _definition(service, measure)
    for dim, value in measure.at.items():
        if dim in dims and not (dims[dim].pivot and value in dims[dim].values):
            yield f".at: {dim}={value} is no value of a pivot dim"
    if measure.at and isinstance(measure.define, Persons):
        yield ".at: persons at a pivot are not guarded against subtraction; count a sum instead"
    if measure.at and measure.define.source in {None, EXPOSURE}:
        yield ".at: only figures of a fact of events have values at a pivot"


def _definition(service: Service, measure: Measure) -> Iterator[str]:
    define = measure.define
    known = {one.name for one in service.measures}
    for part in sorted({part.measure for part in define.parts} - known):
        yield f": unknown measure {part}"
    names = (*define.sums, *define.records)
    yield from (f": {name!r} is no name of a column" for name in names if not _NAME.fullmatch(name))
    unknown = set(define.needs) - {dim.name for dim in service.dims}
    yield from (f": unknown dim {dim}" for dim in sorted(unknown))
    if define.source is not None and define.source not in service.facts:
        yield f": unknown fact {define.source}"
    if (
        isinstance(define, Persons)
        and define.fact in service.disclosure.side
        and not define.insured
    ):
        yield f": {define.fact} is a side fact, its persons are not those of the cells"
    if define.source == EXPOSURE and not define.of_insured:
        yield ": of the fact exposure there are person-time (sum of `days`) and the persons alone"


def _circles(measures: Mapping[str, Measure]) -> Iterator[str]:
    """Measures that are made of themselves by way of others."""
    done: set[str] = set()
    while ready := {
        name
        for name, measure in measures.items()
        if name not in done and {part.measure for part in measure.define.parts} <= done
    }:
        done |= ready
    if left := sorted(measures.keys() - done):
        yield f"measures.{left[0]}: is made of itself, by way of {', '.join(left)}"


def _late(measures: Mapping[str, Measure]) -> Iterator[str]:
    """Late figures are read row by row: nothing can be rolled up in them any more."""
    late: set[str] = set()
    while (
        more := {
            name
            for name, measure in measures.items()
            if measure.define.late or {part.measure for part in measure.define.parts} & late
        }
        - late
    ):
        late |= more
    for name in sorted(late):
        define = measures[name].define
        if isinstance(define, Ratio) and define.over and define.late:
            yield f"measures.{name}: `over` and `lag_years` do not go together"
        elif not define.takes_late:
            yield f"measures.{name}: cannot be made of a figure that looks at other periods"


def _person_measure(service: Service, measures: Mapping[str, Measure]) -> Iterator[str]:
    """The measure that is guarded against subtraction must be the persons of the cells."""
    name = service.disclosure.person_measure
    if name is None:
        return
    define = measures[name].define if name in measures else None
    if not isinstance(define, Persons) or define.fact in {EXPOSURE, *service.disclosure.side}:
        yield f"disclosure.person_measure: {name} does not count the persons of a covering fact"
