"""One institution's own data: which dim stands for it, which view answers, what may be wrong.

Nobody can ask for an institution: the dim is bound from the grant that a question is asked under.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from gateway.catalogue.model import Band, Dim, Own, OwnMeasure, OwnView, Peers, Quantile, Service

INSTITUTION: Final = "own_institution"
"""The dim that makes a question one about own data."""

SUBJECT: Final = "own"
"""The subject of a service that has nothing but own data."""

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_WORDS: Final = frozenset({"band", "code"})


def holds_own_alone(service: Service) -> bool:
    """Whether a service has nothing but own data."""
    return service.disclosure.subject == SUBJECT


def own_dims(service: Service) -> tuple[Dim, ...]:
    """The dims that questions about own data may name besides those of the service."""
    return () if service.own is None else service.own.dims


def own_measures(service: Service) -> tuple[OwnMeasure, ...]:
    """The figures of all views that are none of the service's other measures, each once."""
    found: dict[str, OwnMeasure] = {}
    for view in () if service.own is None else service.own.views:
        for measure in view.measures:
            found.setdefault(measure.name, measure)
    others = {measure.name for measure in service.measures}
    return tuple(measure for name, measure in found.items() if name not in others)


def view_of(service: Service, dims: Collection[str]) -> OwnView | None:
    """The view that a question over these dims is answered from, if there is one."""
    if service.own is None:
        return None
    wanted = {*dims} - {INSTITUTION}
    return next((view for view in service.own.views if {*view.dims} == wanted), None)


def view_name(view: OwnView) -> str:
    """A view is called after its query."""
    return view.query.removesuffix(".sql")


def is_text(unit: str) -> bool:
    """Whether figures of a unit are words."""
    return unit in _WORDS


def columns_of(view: OwnView) -> tuple[str, ...]:
    """The figures that the query itself gives, judged ones last."""
    peers = view.peers
    compared = set() if peers is None else peers.quantiles.keys() | peers.bands.keys()
    told = [one.name for one in view.measures if one.name not in compared]
    more = [] if peers is None else [peers.persons, peers.magnitude]
    return tuple(dict.fromkeys([*told, *more]))


def own_faults(service: Service, folder: Path) -> Iterator[str]:
    """What a contract must not say of own data, and what it must."""
    own, alone = service.own, service.disclosure.subject == SUBJECT
    if alone and (own is None or service.facts or service.measures or service.dims):
        yield f"disclosure.subject: {SUBJECT} has views in `own` and nothing else"
    if alone and service.tariff.unit != "free":
        yield "tariff.unit: one's own data are free"
    if service.output_level == "L3" and not alone:
        yield "output_level: above L2 there is nothing but one's own data"
    if own is not None:
        yield from _views(service, own, folder)


def _views(service: Service, own: Own, folder: Path) -> Iterator[str]:
    known = {dim.name: dim for dim in (*own.dims, *service.dims)}
    if len(known) < len(own.dims) + len(service.dims):
        yield "own.dims: a name appears twice"
    if INSTITUTION not in {dim.name for dim in own.dims}:
        yield f"own.dims: {INSTITUTION} stands for whose data they are and is missing"
    seen: set[frozenset[str]] = set()
    for view in own.views:
        where = f"own.{view_name(view)}"
        plain = {n for n, dim in known.items() if not (dim.pivot or dim.levels)} - {INSTITUTION}
        yield from (f"{where}.dims: unknown {dim}" for dim in sorted({*view.dims} - plain))
        if frozenset(view.dims) in seen:
            yield f"{where}.dims: another view has the same"
        seen.add(frozenset(view.dims))
        if not (folder / view.query).is_file():
            yield f"{where}.query: {view.query} does not exist"
        yield from (f"{where}{text}" for text in _measures(view))


def _measures(view: OwnView) -> Iterator[str]:
    units = {measure.name: measure.unit for measure in view.measures}
    if len(units) < len(view.measures) or units.keys() & {*view.dims}:
        yield ".measures: a name appears twice"
    names = columns_of(view)
    yield from (f".measures: {n!r} is no name of a column" for n in names if not _NAME.fullmatch(n))
    if view.peers is not None:
        yield from _compared(view.peers, units)


def _compared(peers: Peers, units: Mapping[str, str]) -> Iterator[str]:
    own = units.keys() - peers.quantiles.keys() - peers.bands.keys()
    figures = {name for name in own if not is_text(units[name])}
    compared: tuple[tuple[str, Mapping[str, Quantile | Band]], ...] = (
        ("quantiles", peers.quantiles), ("bands", peers.bands),
    )  # fmt: skip
    for kind, told in compared:
        for name, one in told.items():
            if name not in units:
                yield f".peers.{kind}: {name} is no measure of the view"
            if one.of not in figures:
                yield f".peers.{kind}.{name}: {one.of} is no figure of the view"
    ranked = {quantile.of for quantile in peers.quantiles.values()}
    for name, band in peers.bands.items():
        if band.of not in ranked:
            yield f".peers.bands.{name}: no quantile of {band.of} is told"
        if units.get(name) != "band":
            yield f".peers.bands.{name}: its unit is band"
