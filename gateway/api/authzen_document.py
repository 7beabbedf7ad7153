"""The decision point in the OpenAPI document: what the AuthZEN standard fixes, and our mapping.

The forms of the attributes are those of the rules' own question, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.api.authzen_form import SEMANTICS
from gateway.api.authzen_mapping import CLIENT, NEEDED, PLACES, RESOURCE, TENANT, Place
from gateway.api.schemas import Schema
from gateway.policy.port import PolicyInput

TAG = "access decisions"
STATUSES = (400, 401, 403, 415, 429, 503)
REQUEST_ID: Schema = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "Your own id of this call, echoed in the answer.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}
_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 128}
_EXAMPLE: Schema = {
    "subject": {"type": CLIENT, "id": "ins-app", "properties": {"ip": "192.0.2.10"}},
    "action": {"name": "cells"},
    "resource": {
        "type": RESOURCE,
        "id": "S02",
        "properties": {"dims": ["insutype2"], "measures": ["medfee"]},
    },
    "context": {
        "purpose": "actuarial_pricing_and_reserving",
        "period": {"from": "2024Q1", "to": "2024Q4", "grain": "quarter"},
        "geo": ["990100"],
        "grant_id": "G-1",
        "cells": 24,
    },
}


def _object(properties: Mapping[str, object], required: Iterable[str] = ()) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": list(required),
    }


def _attributes(part: str) -> Schema:
    """The attributes of one part of an evaluation, each in the form of the rules' question."""
    known = PolicyInput.model_json_schema(by_alias=True)
    found = {name: place for name, place in PLACES.items() if name.rpartition(".")[0] == part}
    needed = [name.rpartition(".")[2] for name in NEEDED if name in found]
    forms = {name.rpartition(".")[2]: _form(known, place) for name, place in found.items()}
    return _object(forms, needed)


def _form(known: Mapping[str, Any], place: Place) -> Schema:
    """The schema at this place of the question, without references."""
    schema: Mapping[str, Any] = known
    for part in place:
        schema = schema["properties"][part]
        if "$ref" in schema:
            schema = known["$defs"][schema["$ref"].rpartition("/")[2]]
    return {name: each for name, each in schema.items() if name not in ("title", "default")}


def _entity(kinds: Iterable[str], part: str, name: Schema) -> Schema:
    kind: Schema = {"type": "string", "enum": list(kinds)}
    fields = {"type": kind, "id": name, "properties": _attributes(f"{part}.properties")}
    return _object(fields, ("type", "id"))


def request_schemas() -> dict[str, object]:
    """The bodies of the two operations."""
    parts: Schema = {
        "subject": _entity((CLIENT, TENANT), "subject", _NAME),
        "action": _object({"name": _form_of("action.name"), "properties": _object({})}, ("name",)),
        "resource": _entity((RESOURCE,), "resource", _NAME),
        "context": _attributes("context"),
    }
    options = _object({"evaluations_semantic": {"type": "string", "enum": list(SEMANTICS)}})
    items: Schema = {"type": "array", "items": {"type": "object"}}
    described = {"description": "Evaluations; what one leaves out is taken from the defaults."}
    return {
        "AccessEvaluation": _object(parts, ("subject", "action", "resource")),
        "AccessEvaluations": _object(
            parts | {"evaluations": items | described, "options": options}
        ),
        "AccessDecision": _DECISION,
        "AccessDecisions": {"oneOf": [_ref("AccessDecision"), _BATCH]},
    }


def _form_of(name: str) -> Schema:
    return _form(PolicyInput.model_json_schema(by_alias=True), PLACES[name])


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_REASON: Schema = _object({"code": _TEXT, "en": _TEXT, "zh": _TEXT}, ("code", "en", "zh"))
_CONTEXT: Schema = _object(
    {
        "decision_id": _TEXT | {"description": "The decision in the journal and in `explain`."},
        "revision": _TEXT | {"description": "Rules and data that decided."},
        "deny": {"type": "array", "items": _TEXT},
        "reasons": {"type": "array", "items": _REASON},
        "reason": _TEXT | {"description": "Why no question could be made of the evaluation."},
        "attributes": {"type": "array", "items": _TEXT},
        "obligations": {"type": "object", "description": "What whoever asked must see to."},
        "error": _object({"status": {"type": "integer"}, "message": _TEXT}, ("status", "message")),
    }
)
_DECISION: Schema = _object(
    {"decision": {"type": "boolean"}, "context": _CONTEXT}, ("decision", "context")
)
_BATCH: Schema = _object(
    {"evaluations": {"type": "array", "items": _ref("AccessDecision")}}, ("evaluations",)
)
METADATA_SCHEMA: Schema = _object(
    dict.fromkeys(
        ("policy_decision_point", "access_evaluation_endpoint", "access_evaluations_endpoint"),
        _TEXT,
    ),
    ("policy_decision_point", "access_evaluation_endpoint"),
)
ONE = {
    "operationId": "evaluateAccess",
    "summary": "Whether one subject may do one thing to one data service (AuthZEN 1.0).",
    "description": "For systems of the bureau. A refusal is an answer: `decision` is false and "
    "`deny` names the codes, of services about persons only their group. An attribute that is "
    "missing, unknown or of another form makes the answer no; `attributes` names it. Allowed "
    "answers bind whoever asked to `obligations`.",
}
MANY = {
    "operationId": "evaluateAccesses",
    "summary": "Several evaluations at once (AuthZEN 1.0).",
    "description": "`deny_on_first_deny` and `permit_on_first_permit` end the batch there.",
}


def body(schema: str) -> Schema:
    """The request body of an operation."""
    content = {"application/json": {"schema": _ref(schema), "example": _EXAMPLE}}
    return {"required": True, "content": content}
