"""What the documents say of services that count cohorts: schemas of question and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gateway.api.contract import summary
from gateway.catalogue.cohort import CohortContract
from gateway.cohorts.question import MOST_CRITERIA

Schema: TypeAlias = dict[str, object]
Lists: TypeAlias = Mapping[str, Sequence[str]]
_TEXT: Schema = {"type": "string"}
_FLAGS: Schema = {"type": "string", "enum": ["r", "s", "c"]}


def _object(properties: Mapping[str, object], *optional: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": dict(properties),
    }


def _texts(pattern: str = "", values: Sequence[str] = (), most: int = 100) -> Schema:
    items: Schema = {"enum": list(values)} if values else {"minLength": 1, "maxLength": 64}
    items |= {"pattern": pattern} if pattern else {}
    return {"type": "array", "minItems": 1, "maxItems": most, "items": _TEXT | items}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def question_schema(contract: CohortContract, lists: Lists) -> Schema:
    """The body of a question; codes are those of the release where it is known."""
    year: Schema = {"type": "string", "pattern": "^(19|20|21)[0-9]{2}$"}
    coded = [name for name in contract.kinds if name not in contract.attributes]
    index = [
        _object({"kind": {"const": n}, "codes": _texts(values=lists.get(n, ()))}) for n in coded
    ]
    within = _object(
        {"relation": {"enum": ["before", "after"]}, "days": _whole(1, contract.days)}
    ) | {"description": "Not on the index day itself; in one criterion of a question."}
    return _object(
        {
            "purpose": _TEXT | {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
            "period": _object({"from": year, "to": year}),
            "geo": _texts("^[0-9]{6}$", most=200),
            "index": {"oneOf": index},
            "criteria": {
                "type": "array",
                "maxItems": MOST_CRITERIA,
                "items": {"oneOf": [*_attributes(contract), *_events(coded, lists, within)]},
            },
            "grant_id": {"type": ["string", "null"]},
            "release": {"type": ["string", "null"]},
        },
        "criteria",
        "grant_id",
        "release",
    )


def _attributes(contract: CohortContract) -> list[Schema]:
    months = _whole(0, contract.months)
    ages, sexes = contract.values["age10"], contract.values["gend"]
    return [
        _object({"kind": {"const": "age10"}, "values": _texts(values=ages)}),
        _object({"kind": {"const": "gend"}, "values": _texts(values=sexes)}),
        _object({"kind": {"const": "index_year"}, "values": _texts("^(19|20|21)[0-9]{2}$")}),
        _object(
            {"kind": {"const": "enrolled"}, "before": months, "after": months}, "before", "after"
        ),
    ]


def _events(coded: Sequence[str], lists: Lists, within: Schema) -> list[Schema]:
    return [
        _object(
            {
                "kind": {"const": name},
                "codes": _texts(values=lists.get(name, ())),
                "exclude": {"type": "boolean"},
                "within": {"oneOf": [{"type": "null"}, within]},
            },
            "exclude",
            "within",
        )
        for name in coded
    ]


def cohort_answer_schema(meta: Schema) -> Schema:
    """The body of an answer: figures are bands; a withheld one is null with the flag c or s."""
    band = _object({"value": {"type": ["string", "null"]}, "flag": _FLAGS})
    months = _object({"value": {"type": ["integer", "null"]}, "flag": _FLAGS})
    step = _object({"step": _whole(0, MOST_CRITERIA), "kind": _TEXT, "persons": band})
    data = _object(
        {
            "persons": band,
            "steps": {"type": "array", "items": step},
            "index_years": {
                "type": "array",
                "items": _object({"index_year": _TEXT, "persons": band}),
            },
            "follow_up_months": _object(dict.fromkeys(("p25", "p50", "p75"), months)),
        }
    )
    return _object({"data": data, "meta": meta})


def cohort_meta(meta: Mapping[str, object]) -> Schema:
    """The meta of an answer: that of cells, and what remains of the study's questions."""
    left = _object({"limit": _whole(0, 10**12), "remaining": _whole(0, 10**12)})
    study: Schema = {"type": "object", "additionalProperties": left}
    properties, required = meta["properties"], meta["required"]
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise TypeError("meta is no schema of an object")
    return {
        **meta,
        "properties": {**properties, "study": study},
        "required": [*required, "study"],
    }


def cohort_path(contract: CohortContract, responses: Mapping[str, object]) -> Schema:
    """The operation of one service."""
    schema = {"$ref": f"#/components/schemas/{contract.id}Query"}
    body = {"schema": schema, "example": contract.example}
    return {
        f"/v1/services/{contract.id}/query": {
            "post": {
                "operationId": f"count{contract.id}",
                "summary": f"{contract.title.zh} {contract.title.en}",
                "description": f"{contract.summary.en}\n\n{contract.summary.zh}",
                "tags": ["data services"],
                "parameters": [{"$ref": "#/components/parameters/Interaction"}],
                "requestBody": {"required": True, "content": {"application/json": body}},
                "responses": dict(responses),
            }
        }
    }


def cohort_contract(contract: CohortContract, periods: object, lists: Lists) -> Schema:
    """Everything a consumer needs to write a question and read its answer."""
    return summary(contract) | {
        "grain": contract.grain,
        "output_level": contract.output_level,
        "profile": contract.sdc,
        "min_lag_days": contract.min_lag_days,
        "geo": [level.model_dump() for level in contract.geo],
        "periods": periods,
        "query": f"/v1/services/{contract.id}/query",
        "kinds": [
            {
                "name": name,
                "title": one.title.model_dump(),
                "classification": {"item": one.item, "level": one.level},
            }
            for name, one in contract.kinds.items()
        ],
        "notes": [note.model_dump() for note in contract.notes],
        "request_schema": question_schema(contract, lists),
        "answer_schema": cohort_answer_schema({"type": "object"}),
        "example": contract.example,
    }
