"""Lineage of own rows: each column of each view, through the statement that makes its rows.

A view reads the warehouse, the service's facts and what each institution delivered. What an
institution is told of its peers is made of their rows of the same period, place and dims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Band, OwnMeasure, OwnView, Quantile, Service
from gateway.catalogue.own import INSTITUTION, view_name
from gateway.releases.engine.sql import Library
from gateway.releases.lineage.columns import Traced
from gateway.releases.lineage.reads import Act, Reads, together
from gateway.releases.own.making import Making, statement

PERIOD, PLACE, HOUSE = "period", "geo", "institution"
_ANY = ("0000-00",), ("000000",)  # which months and places are kept is no part of the lineage
_COMPARED = "comparison of peers"


@dataclass(frozen=True)
class ViewLineage:
    """What each column of a view's rows rests on, and what decides who is shown them."""

    view: OwnView
    fields: Mapping[str, Reads]
    control: Reads

    @property
    def name(self) -> str:
        """The view's name within its service."""
        return view_name(self.view)


def own_lineage(catalogue: Catalogue, service: Service) -> tuple[ViewLineage, ...]:
    """The lineage of each view of own rows; of a service without any, nothing."""
    if service.own is None:
        return ()
    texts = {view_name(view): catalogue.own_sql(service, view) for view in service.own.views}
    making = Making(service, texts, (), *_ANY, {})
    library = Library.of(_views(catalogue, service))
    return tuple(
        _of(view, Traced(name, library.expanded(f"{service.id}/{name}", statement(making, view))))
        for name, view in zip(texts, service.own.views, strict=True)
    )


def _views(catalogue: Catalogue, service: Service) -> str:
    """The catalogue's views, and each fact under the name by which own rows read it."""
    facts = [
        f"CREATE OR REPLACE VIEW fact_{name} AS {catalogue.fact_sql(service, name)}"
        for name in service.facts
    ]
    texts = (text.strip().removesuffix(";") for text in (catalogue.rollups_sql(service), *facts))
    return ";\n".join(texts)


def _of(view: OwnView, traced: Traced) -> ViewLineage:
    names = {PERIOD: PERIOD, PLACE: PLACE, INSTITUTION: HOUSE, **{dim: dim for dim in view.dims}}
    # Words that the query itself writes rest on the records that bear them.
    found = {name: traced.column(column) for name, column in names.items()}
    fields = {name: (one if one.paths else traced.rows).at(name) for name, one in found.items()}
    fields |= {one.name: _measure(view, one, traced) for one in view.measures}
    return ViewLineage(view, fields, _control(view, traced))


def _measure(view: OwnView, measure: OwnMeasure, traced: Traced) -> Reads:
    peers = view.peers
    compared: dict[str, Quantile | Band] = {}
    if peers is not None:
        compared |= {**peers.quantiles, **peers.bands}
    if measure.name not in compared:
        return together((traced.column(measure.name), traced.rows)).at(measure.name)
    of = traced.column(compared[measure.name].of).acting(Act.AGGREGATION, _COMPARED)
    cell = together(traced.column(one) for one in (PERIOD, PLACE, *view.dims))
    left_out = traced.column(HOUSE).acting(Act.FILTER, _COMPARED)
    grouped = cell.acting(Act.GROUP_BY, _COMPARED)
    return together((of, grouped, left_out, traced.rows)).at(measure.name)


def _control(view: OwnView, traced: Traced) -> Reads:
    """Whose rows they are, and what is judged of a group of peers."""
    judged = () if view.peers is None else (view.peers.persons, view.peers.magnitude)
    found = together(traced.column(one) for one in (HOUSE, *judged))
    return found.acting(Act.FILTER, "disclosure control")
