"""JSON Schemas of one service's request and answer, generated from its catalogue entry.

The same schemas serve the OpenAPI document and `GET /v1/services/{id}`; what the server accepts is
`gateway.serving.questions.Ask`, and a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from gateway.catalogue.model import Dim, Measure, OwnMeasure, Service
from gateway.catalogue.own import own_dims, own_measures
from gateway.serving.meta import SYNTHETIC
from gateway.serving.questions import DEFAULT_PAGE, LARGEST_PAGE

Schema: TypeAlias = dict[str, object]
Lists: TypeAlias = Mapping[str, Sequence[str]]

FLAGS = {
    "ok": "exact",
    "r": "rounded",
    "s": "suppressed",
    "c": "suppressed so that another cell cannot be derived",
    "z": "structural zero",
    "e": "estimated",
    "v": "as first published: changed since by fewer persons than may be told, or not at all",
}
_PERIODS = {
    "month": r"^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])$",
    "quarter": r"^(19|20|21)[0-9]{2}Q[1-4]$",
    "year": r"^(19|20|21)[0-9]{2}$",
}
_MONEY: Schema = {"type": ["string", "null"], "pattern": r"^-?[0-9]+\.[0-9]{2}$"}
_VALUES: Mapping[str, Schema] = {
    "CNY": _MONEY,
    "count": {"type": ["integer", "null"]},
    "band": {"type": ["string", "null"]},
    "code": {"type": ["string", "null"]},
}
_NUMBER: Schema = {"type": ["number", "null"]}


def _object(properties: Mapping[str, object], required: Iterable[str]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict(properties),
    }


def asked_dims(service: Service) -> tuple[Dim, ...]:
    """The dims a client may name; pivots are not among them."""
    return tuple(dim for dim in (*service.dims, *own_dims(service)) if not dim.pivot)


def shown_measures(service: Service) -> tuple[Measure, ...]:
    """The measures a client may name."""
    return tuple(measure for measure in service.measures if not measure.internal)


def _dim_value(dim: Dim, lists: Lists) -> Schema:
    listed = dim.values or lists.get(dim.name, ())
    schema: Schema = {"type": "string", "description": f"{dim.title.zh} {dim.title.en}"}
    return schema | ({"enum": list(listed)} if listed else {"minLength": 1, "maxLength": 64})


def _names(names: Sequence[str], description: str, **limits: int) -> Schema:
    items: Schema = {"type": "string", "enum": list(names)}
    return {
        "type": "array",
        "items": items,
        "uniqueItems": True,
        "description": description,
        **limits,
    }


def _period(service: Service) -> Schema:
    """One alternative per grain, so that range and grain cannot disagree."""
    alternatives = []
    for grain in service.periods:
        text = {"type": "string", "pattern": _PERIODS[grain]}
        fields = {"grain": {"const": str(grain)}, "from": text, "to": text}
        alternatives.append(_object(fields, fields))
    described = {"description": "Range of periods by settlement month, both ends included."}
    return described | ({"oneOf": alternatives} if len(alternatives) > 1 else alternatives[0])


def _optional_text(description: str, longest: int = 64) -> Schema:
    return {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": longest,
        "description": description,
    }


def request_schema(service: Service, lists: Lists | None = None) -> Schema:
    """The body of a query; `lists` closes the dims whose codes a release defines."""
    dims, measures = asked_dims(service), (*shown_measures(service), *own_measures(service))
    fields: Schema = {
        "purpose": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "description": "Purpose code of the granted scenario.",
        },
        "period": _period(service),
        "geo": {
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "uniqueItems": True,
            "items": {"type": "string", "pattern": "^[0-9]{6}$"},
            "description": "Insured-place regions, 6-digit admdvs.",
        },
        "dims": _names(
            [d.name for d in dims], "Dimensions of a cell, in any order.", maxItems=len(dims)
        )
        | {"default": []},
        "measures": _names(
            [m.name for m in measures], "Figures wanted; left out: all the cell has.", minItems=1
        )
        | {"type": ["array", "null"]},
        "where": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {dim.name: _dim_value(dim, lists or {}) for dim in dims},
            "description": "Fix dims to one listed value; they count as dims of the cell.",
        },
        "grant_id": _optional_text("Needed only when several grants cover the service."),
        "release": _optional_text("A release id; left out: the latest."),
        "page_size": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": LARGEST_PAGE,
            "description": f"Rows per page, {DEFAULT_PAGE} by default.",
        },
        "cursor": _optional_text("`next_cursor` of the previous page.", longest=512),
    }
    if levels := _levels(dims):
        fields["levels"] = levels
    return _object(fields, ("purpose", "period", "geo"))


def _levels(dims: Iterable[Dim]) -> Schema:
    choices: Schema = {
        dim.name: {"type": "integer", "minimum": 1, "maximum": len(dim.levels)}
        for dim in dims
        if dim.levels
    }
    described = "Level of a hierarchical dim, 1 the coarsest; left out: the finest."
    if not choices:
        return {}
    return _object(choices, ()) | {"type": ["object", "null"], "description": described}


def _cell(measure: Measure | OwnMeasure) -> Schema:
    value = _VALUES.get(measure.unit, _NUMBER)
    flag = {"type": "string", "enum": list(FLAGS)}
    described = f"{measure.title.zh} {measure.title.en} ({measure.unit})"
    return _object({"value": value, "flag": flag}, ("value", "flag")) | {"description": described}


def answer_schema(service: Service, meta: Schema) -> Schema:
    """A page of cells with its meta."""
    fields: Schema = {"period": {"type": "string"}, "geo": {"type": "string"}}
    fields |= {dim.name: {"type": "string"} for dim in asked_dims(service)}
    fields |= {measure.name: _cell(measure) for measure in shown_measures(service)}
    fields |= {measure.name: _cell(measure) for measure in own_measures(service)}
    rows = {"type": "array", "items": _object(fields, ("period", "geo"))}
    cursor = {"type": ["string", "null"], "description": "Send it back to get the next page."}
    page: Schema = {"data": rows, "meta": meta, "next_cursor": cursor}
    return _object(page, page)


def _text(description: str = "") -> Schema:
    described: Schema = {"description": description} if description else {}
    return {"type": "string"} | described


_WHOLE: Schema = {"type": "integer", "minimum": 0}
_KPI: Schema = {"type": ["number", "null"]}
_LEFT: Schema = _object({"limit": _WHOLE, "remaining": _WHOLE}, ("limit", "remaining"))
_SERVICE: Schema = _object(
    {"id": _text(), "code": _text(), "version": _text()}, ("id", "code", "version")
)
_CHARGE: Schema = _object(
    {
        "unit": _text(),
        "cells": _WHOLE | {"description": "Delivered cells that are neither hidden nor zero."},
        "cells_charged": _WHOLE,
        "repeat": {"type": "boolean", "description": "Charged within the last 30 days: free."},
        "price_ref": _text(),
    },
    ("unit", "cells", "cells_charged", "repeat", "price_ref"),
)
_QUALITY: Schema = {
    "type": "object",
    "description": "Data quality of each period asked for.",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "completeness": _KPI,
            "consistency": _KPI,
            "timeliness": _KPI,
            "accuracy": _KPI,
            "blocked_rules": {"type": "integer"},
        },
    },
}
_WAIVER: Schema = _object(
    {
        "id": _text(),
        "covers": {"type": "array", "items": _text("A quality figure or integrity rule.")},
        "first": _text("Month, as 2024-01."),
        "last": _text("Month, as 2024-03."),
        "reason": _text("Why the cells are served although this fails."),
        "until": {"type": "string", "format": "date"},
        "signed_by": {"type": "array", "items": _text(), "minItems": 2, "maxItems": 2},
    },
    ("id", "covers", "first", "last", "reason", "until", "signed_by"),
)
_MARKED: Schema = {
    "oneOf": [
        {"type": "null"},
        _object(
            {
                "key_id": _text("Which key chose the marks of the release."),
                "measures": {"type": "array", "items": _text()},
                "kept_digits": _WHOLE,
                "most_units_of_last_digit": _WHOLE,
                "most_relative": _text("An amount is moved by at most this part of itself."),
                "sum_within_units_per_cell": _text(
                    "Amounts add up to within so many units of the last kept digit of each."
                ),
            },
            (
                "key_id",
                "measures",
                "kept_digits",
                "most_units_of_last_digit",
                "most_relative",
                "sum_within_units_per_cell",
            ),
        ),
    ],
    "description": "How amounts are marked for this tenant; null where they are not.",
}
_META_FIELDS: Schema = {
    "service": _SERVICE,
    "release": _text("Ask for this release again to get the same cells."),
    "definitions": _text("SHA-256 of the definitions of every figure."),
    "code_versions": {"type": "object", "additionalProperties": {"type": "string"}},
    "profile": _text("Disclosure profile the cells were protected with."),
    "quality": _QUALITY,
    "waivers": {"type": "array", "items": _WAIVER},
    "rows": _WHOLE,
    "total_rows": _WHOLE,
    "charge": _CHARGE,
    "quota": {"type": "object", "additionalProperties": _LEFT},
    "watermark": _text("Mark of this very answer; quote it in disputes."),
    "watermark_amounts": _MARKED,
    "decision_id": _text(),
    "policy_version": _text(),
    "request_id": _text(),
    "trace_id": _text(),
    "time": {"type": "string", "format": "date-time"},
}
_PRIVACY: Schema = {
    **_object(
        {
            "mechanism": {"enum": ["two_sided_geometric"]},
            "epsilon": {"type": "number", "exclusiveMinimum": 0},
            "epsilon_year": {"type": "number", "exclusiveMinimum": 0},
            "unit": {"enum": ["person"]},
        },
        ("mechanism", "epsilon", "epsilon_year", "unit"),
    ),
    "description": "The noise in the counts; left out where differential privacy is off.",
}
_DATA: Schema = {
    "const": SYNTHETIC,
    "description": "In a sandbox only: everything in the answer is made up.",
}
META: Schema = _object(_META_FIELDS | {"privacy": _PRIVACY, "data": _DATA}, _META_FIELDS)

_PROBLEM_FIELDS: Schema = {
    "type": _text("urn:sluice:problem:<code>"),
    "title": _text(),
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": _text("One sentence to act on."),
    "detail_zh": _text("同一句话的中文。"),
    "code": _text("Stable code."),
    "request_id": _text("Quote it when reporting."),
}
PROBLEM: Schema = _object(
    _PROBLEM_FIELDS
    | {
        "deny": {"type": "array", "items": _text(), "description": "Deny codes of the policy."},
        "reasons": {
            "type": "array",
            "items": _object({"code": _text(), "en": _text(), "zh": _text()}, ("code", "en", "zh")),
        },
    },
    _PROBLEM_FIELDS,
)
