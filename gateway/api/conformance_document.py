"""What the OpenAPI document says of the sandbox's own operations: sign-up and conformance runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from gateway.api.conformance import Acknowledgement
from gateway.api.sign_up import Developer
from gateway.conformance.report import MEDIA
from gateway.serving.accept import JSON

Problems: TypeAlias = Callable[[Iterable[int]], dict[str, object]]
Schema: TypeAlias = dict[str, Any]  # Any: a JSON schema

TAG: Final = "sandbox"
_BASE: Final = "/v1/conformance/runs"
_TEXT: Final[Schema] = {"type": "string"}
_RESULT: Final[Schema] = {"type": "string", "enum": ["passed", "failed", "not_shown"]}
_CHECK: Final[Schema] = {
    "type": "object",
    "required": ["id", "result", "title", "title_zh"],
    "properties": {
        "id": _TEXT, "result": _RESULT, "title": _TEXT, "title_zh": _TEXT,
        "message": {"type": "string", "description": "What to fix, or how to show it."},
        "message_zh": _TEXT,
    },
}  # fmt: skip
_BRIEF: Final[Schema] = {
    "run_id": _TEXT,
    "state": {"type": "string", "enum": ["live", "ended", "abandoned"]},
    "started_at": _TEXT,
    "expires_at": _TEXT,
    "ended_at": {"type": ["string", "null"]},
}
_RUN: Final[Schema] = {
    "type": "object",
    "required": [*_BRIEF, "tasks", "checks", "passed"],
    "properties": {
        **_BRIEF,
        "tasks": {"type": "array", "items": {"type": "object"}},
        "checks": {"type": "array", "items": _CHECK},
        "passed": {"type": "boolean"},
    },
}
_RUNS: Final[Schema] = {
    "type": "object",
    "required": ["runs"],
    "properties": {"runs": {"type": "array", "items": {"type": "object", "properties": _BRIEF}}},
}
_EVENTS: Final[Schema] = {
    "type": "object",
    "required": ["events"],
    "properties": {"events": {"type": "array", "items": {"type": "object"}}},
}
_JOINED: Final[Schema] = {
    "type": "object",
    "required": ["organisation_id", "client_id", "grant_id", "purpose"],
    "properties": dict.fromkeys(("organisation_id", "client_id", "grant_id", "purpose"), _TEXT),
}
_KEYS: Final[Schema] = {"type": "object", "required": ["keys"], "properties": {"keys": {}}}
_RUN_ID: Final[Schema] = {"name": "run_id", "in": "path", "required": True, "schema": _TEXT}


def paths(headers: Mapping[str, object], problems: Problems) -> dict[str, Any]:
    """Every operation; outside the sandbox each is 404 `sandbox_only`."""

    def told(name: str, summary: str, schema: Schema | None, status: int = 200) -> Schema:
        answer: Schema = {"description": "Done.", "headers": headers}
        if schema is not None:
            answer |= {"content": {JSON: {"schema": schema}}}
        refused = problems((400, 401, 403, 404, 409, 422, 429, 503))
        answers = {str(status): answer, **refused}
        return {"operationId": name, "summary": summary, "tags": [TAG], "responses": answers}

    def of_run(operation: Schema) -> Schema:
        return {**operation, "parameters": [_RUN_ID]}

    def with_body(operation: Schema, schema: Schema) -> Schema:
        body = {"required": True, "content": {JSON: {"schema": schema}}}
        return {**operation, "requestBody": body}

    signed = told("getConformanceReport", "The signed report of a run that ended.", None)
    signed["responses"]["200"]["content"] = {MEDIA: {"schema": _TEXT}}
    join = told("signUp", "Sign up: an organisation, a client and a grant.", _JOINED, 201)
    keys = told("conformanceKeys", "The public key of conformance reports.", _KEYS)
    said = told("acknowledge", "Say what became of a file or an event.", None, 204)
    return {
        "/v1/sandbox/developers": {
            "post": with_body(join, Developer.model_json_schema()) | {"security": []}
        },
        "/v1/conformance/keys": {"get": keys | {"security": []}},
        _BASE: {
            "get": told("listConformanceRuns", "Own runs, newest first.", _RUNS),
            "post": told("startConformanceRun", "Begin to be examined.", _RUN, 201),
        },
        f"{_BASE}/{{run_id}}": {
            "get": of_run(told("getConformanceRun", "Tasks, and what came of every check.", _RUN))
        },
        f"{_BASE}/{{run_id}}/acknowledgements": {
            "post": of_run(with_body(said, Acknowledgement.model_json_schema()))
        },
        f"{_BASE}/{{run_id}}/events": {
            "post": of_run(told("tryReceiver", "Have events pushed to the receiver.", _EVENTS))
        },
        f"{_BASE}/{{run_id}}/end": {
            "post": of_run(told("endConformanceRun", "End a run; sign the report.", _RUN))
        },
        f"{_BASE}/{{run_id}}/report": {"get": of_run(signed)},
    }
