"""The OpenAPI 3.1 document of the administration, generated from its table of endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import orjson
from pydantic import TypeAdapter

from gateway.api.admin import door
from gateway.api.admin.endpoint import Endpoint
from gateway.api.problems import MEDIA_TYPE
from gateway.api.schemas import PROBLEM
from gateway.identity.entries import Entry

Schema: TypeAlias = dict[str, Any]  # JSON

_MEANING = {
    400: "The request is not of the documented form.",
    401: "Not signed in, or not any more.",
    403: "No role for this, the csrf token is missing, or the session is not fresh enough.",
    404: "There is no such thing.",
    405: "The address does not take this method.",
    409: "Not possible in the present state.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not application/json.",
    422: "Understood, and refused; the message says why.",
    429: "Too many attempts; Retry-After says how long to wait.",
    500: "Something failed inside; nothing was changed.",
}
_READS = (400, 401, 403, 405, 413, 500)
_CHANGES = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500)
_DOORS = (400, 401, 403, 405, 413, 415, 422, 429, 500)
_PART = re.compile(r"{(\w+)}")
_REASON: Schema = {"type": "string", "maxLength": 500, "description": "Why; kept in the record."}


def admin_openapi(endpoints: Iterable[Endpoint]) -> Schema:
    """The whole document."""
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    for path, name, form in (
        ("/sign-in", "signIn", door.SignInForm),
        ("/invitations/accept", "acceptInvitation", door.AcceptForm),
        ("/invitations/confirm", "confirmInvitation", door.ConfirmForm),
    ):
        paths[path] = {"post": _door(name, form)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sluice administration",
            "version": "1.0.0",
            "description": "For the data office's staff. Each operation has its roles "
            "(policies/staff/operations.yaml) and leaves an entry in a record.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/admin/v1"}],
        "security": [{"session": [], "csrf": []}],
        "paths": paths,
        "components": _components(),
    }


def admin_openapi_bytes(endpoints: Iterable[Endpoint]) -> bytes:
    """The document as it is written to `docs/admin-openapi.json` and served."""
    return orjson.dumps(admin_openapi(endpoints), option=orjson.OPT_INDENT_2) + b"\n"


def _operation(endpoint: Endpoint) -> Schema:
    described: Schema = {
        "operationId": endpoint.operation,
        "tags": [endpoint.operation.partition(".")[0]],
        "responses": {
            str(endpoint.status): _answer(),
            **_problems(_statuses(endpoint)),
        },
    }
    if endpoint.summary:
        described["summary"] = endpoint.summary
    parameters = [*_parameters(endpoint)]
    if parameters:
        described["parameters"] = parameters
    if endpoint.method == "GET":
        return described | {"security": [{"session": []}]}
    return described | {"requestBody": _body(endpoint.form, says_why=endpoint.says_why)}


def _parameters(endpoint: Endpoint) -> Iterable[Schema]:
    text: Schema = {"type": "string"}
    for name in _PART.findall(endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": text}
    for name, meaning in endpoint.query.items():
        yield {"name": name, "in": "query", "description": meaning, "schema": text}


def _statuses(endpoint: Endpoint) -> Iterable[int]:
    if endpoint.method != "GET":
        return _CHANGES
    return (*_READS, 404, 422) if _PART.search(endpoint.path) else (*_READS, 422)


def _door(name: str, form: type[Entry]) -> Schema:
    return {
        "operationId": name,
        "tags": ["door"],
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _of(form)}}},
        "responses": {"200": _answer(), **_problems(_DOORS)},
    }


def _body(form: type[Entry] | None, *, says_why: bool) -> Schema:
    bare: Schema = {"type": "object", "additionalProperties": False}
    schema = bare if form is None else _of(form)
    schema["properties"] = {**schema.get("properties", {}), "reason": _REASON}
    if says_why:
        schema["required"] = [*schema.get("required", ()), "reason"]
    return {
        "required": bool(schema.get("required")),
        "content": {"application/json": {"schema": schema}},
    }


def _of(form: type[Entry]) -> Schema:
    """The form's schema, complete in itself."""
    schema: Schema = TypeAdapter(form).json_schema(ref_template="#/$defs/{model}")
    parts = schema.pop("$defs", {})
    inlined: Schema = _inline(schema, parts)
    return inlined


def _inline(node: Any, parts: Schema) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _inline(parts[str(node["$ref"]).rpartition("/")[2]], parts)
        return {key: _inline(value, parts) for key, value in node.items()}
    if isinstance(node, list):
        return [_inline(each, parts) for each in node]
    return node


def _answer() -> Schema:
    return {"description": "Done.", "content": {"application/json": {"schema": {}}}}


def _problems(statuses: Iterable[int]) -> Schema:
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}


def _components() -> Schema:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "schemas": {"Problem": PROBLEM},
        "responses": {
            f"Problem{status}": {"description": meaning, "content": content}
            for status, meaning in _MEANING.items()
        },
        "securitySchemes": {
            "session": {"type": "apiKey", "in": "cookie", "name": "__Host-sluice-staff"},
            "csrf": {"type": "apiKey", "in": "header", "name": "Sluice-Csrf"},
        },
    }
