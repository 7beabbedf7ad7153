"""The contract of a service as its consumers read it: what to ask, what it means and costs."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.schemas import (
    FLAGS,
    META,
    Lists,
    answer_schema,
    asked_dims,
    request_schema,
    shown_measures,
)
from gateway.catalogue.cohort import CohortContract
from gateway.catalogue.job import JobContract
from gateway.catalogue.model import Column, Dim, Measure, Service
from gateway.catalogue.own import INSTITUTION
from gateway.catalogue.person import PersonContract
from gateway.catalogue.reference import Reference
from gateway.catalogue.text import TextContract
from gateway.catalogue.trace import TraceContract


def summary(
    service: Service
    | CohortContract
    | Reference
    | PersonContract
    | TextContract
    | JobContract
    | TraceContract,
) -> dict[str, object]:
    """One line of the catalogue."""
    return {
        "id": service.id,
        "code": service.code,
        "version": service.version,
        "title": service.title.model_dump(),
        "summary": service.summary.model_dump(),
        "consumers": list(service.consumers),
        "scenarios": list(service.scenarios),
        "tariff": service.tariff.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        "href": f"/v1/services/{service.id}",
    }


def _column(column: Column) -> dict[str, object]:
    return {
        "name": column.name,
        "title": column.title.model_dump(),
        "classification": {"item": column.item, "level": column.level},
    }


def _dim(dim: Dim, lists: Lists) -> dict[str, object]:
    described: dict[str, object] = {"axis": dim.axis, "values": list(dim.values)}
    if dim.parent:
        described["parent"] = dim.parent
    if dim.levels:
        described["levels"] = {str(n): name for n, name in enumerate(dim.levels, 1)}
    if not dim.values:
        described["values"] = list(lists.get(dim.name, ()))
    return _column(dim) | described


def _measure(measure: Measure) -> dict[str, object]:
    rules = {"only_with": list(measure.only_with), "never_with": list(measure.never_with)}
    definition = measure.define.model_dump(mode="json", exclude={"fact", "column"})
    return _column(measure) | {"unit": measure.unit, "definition": definition} | rules


def _own(service: Service) -> list[dict[str, object]]:
    """What an institution may ask of its own data: the dims besides its own, and their figures."""
    return [
        {
            "dims": [INSTITUTION, *view.dims],
            "measures": [_column(measure) | {"unit": measure.unit} for measure in view.measures],
        }
        for view in (() if service.own is None else service.own.views)
    ]


def contract(
    service: Service, profiles: Mapping[str, object], periods: object, lists: Lists
) -> dict[str, object]:
    """Everything a consumer needs to write a query and read its answer."""
    return summary(service) | {
        "grain": service.grain,
        "output_level": service.output_level,
        "profile": service.sdc,
        "profiles": dict(profiles),
        "min_lag_days": service.min_lag_days,
        "geo": [level.model_dump() for level in service.geo],
        "grains": [str(grain) for grain in service.periods],
        "periods": periods,
        "dims": [_dim(dim, lists) for dim in asked_dims(service)],
        "forbidden_together": [list(pair) for pair in service.disclosure.forbid_together],
        "measures": [_measure(measure) for measure in shown_measures(service)],
        "own": _own(service),
        "notes": [note.model_dump() for note in service.notes],
        "flags": FLAGS,
        "request_schema": request_schema(service, lists),
        "answer_schema": answer_schema(service, META),
        "example": service.example,
    }
