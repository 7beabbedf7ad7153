"""What the OpenAPI document says of a sandbox's clock, faults and invented people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from gateway.api.faults import Fault
from gateway.api.persona import Persona
from gateway.api.sandbox import Step
from gateway.serving.accept import JSON
from gateway.serving.meta import SYNTHETIC
from gateway.worlds.people import People

Problems: TypeAlias = Callable[[Iterable[int]], dict[str, object]]
Schema: TypeAlias = dict[str, Any]  # Any: a JSON schema

_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_FAULT: Final[Schema] = {"type": "string", "enum": [str(each) for each in Fault]}
_TIMES: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 100}
_PLAN: Final = {"fault": _FAULT, "times": {**_TIMES, "default": 1}}
_TIME: Final = {"now": _TEXT, "seconds_ahead": _WHOLE}


def paths(headers: Mapping[str, object], problems: Problems) -> dict[str, Any]:
    """Every operation; outside a sandbox each is 404 `sandbox_only`."""

    def told(name: str, summary: str, schema: Schema | None = None) -> Schema:
        answer: Schema = {"description": "Done.", "headers": headers}
        if schema is not None:
            answer |= {"content": {JSON: {"schema": schema}}}
        answers: dict[str, object] = {"200" if schema else "204": answer}
        answers |= problems((400, 401, 403, 404, 422, 429, 503))
        return {"operationId": name, "summary": summary, "tags": ["sandbox"], "responses": answers}

    person, consent = _named("name"), _named("consent_id")
    standing = {
        "env": _TEXT, "data": {"const": SYNTHETIC}, **_TIME, "may_advance": {"type": "boolean"},
        "fault": {"type": ["object", "null"], "properties": _PLAN},
    }  # fmt: skip
    redirect = _object({"redirect_to": _TEXT})
    return {
        "/v1/sandbox": {
            "get": told("sandbox", "Its time, and what is to go wrong.", _object(standing))
        },
        "/v1/sandbox/clock": {
            "post": told("advanceClock", "Put the clock forward; its owner alone.", _object(_TIME))
            | _body(Step.model_json_schema())
        },
        "/v1/sandbox/fault": {
            "put": told("planFault", "Have your own next calls go wrong.")
            | _body({"type": "object", "required": ["fault"], "properties": _PLAN}),
            "delete": told("mendFaults", "Have your own calls go right again."),
        },
        "/v1/sandbox/personas": {
            "get": told("personas", "The invented people.", _object({
                "data": {"const": SYNTHETIC}, "people": {"type": "array", "items": _person()},
            }))
        },
        "/v1/sandbox/personas/{name}/answers": {
            "post": told("answerAsPersona", "A person answers your pushed request.", redirect)
            | _body(Persona.model_json_schema()) | {"parameters": [person]}
        },
        "/v1/sandbox/personas/{name}/consents/{consent_id}": {
            "delete": told("endAsPersona", "A person ends a consent given to you.")
            | {"parameters": [person, consent]}
        },
    }  # fmt: skip


def _object(properties: Mapping[str, object]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _body(schema: Schema) -> Schema:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def _named(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _person() -> Schema:
    """A person's members, without the references a schema of its own would have."""
    told = People.model_json_schema()["$defs"]["Invented"]["properties"]
    return _object(dict.fromkeys(told, _TEXT) | {
        "died": {"type": ["string", "null"]},
        "wards": {"type": "array", "items": {"type": "object"}},
        "claims": {"type": "array", "items": {"type": "object"}},
    })  # fmt: skip
