"""What the documents say of services of reference data: operations, questions and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.api.contract import summary
from gateway.catalogue.reference import Reference
from gateway.codes.asking import COMMON, FORMS, LONGEST_DISPLAY
from gateway.codes.fhir import MEDIA as FHIR
from gateway.codes.fhir import SPOKEN
from gateway.codes.model import DEFAULT_FOUND, MOST_CODES, MOST_FOUND, Operation
from gateway.codes.reading import MATCHED
from gateway.codes.spelling import LONGEST_CODE, LONGEST_QUESTION
from gateway.codes.telling import SQLITE
from gateway.serving.accept import JSON

Schema: TypeAlias = dict[str, object]
STATUSES: Final = (400, 401, 403, 404, 406, 415, 422, 429, 503)
WITH_BODY: Final[tuple[Operation, ...]] = (
    "search",
    "lookup",
    "validate-code",
    "validate-list",
    "translate",
)
VERDICTS: Final = (
    "valid", "written_otherwise", "display_differs", "not_yet_valid", "expired", "unknown",
    "not_in_excerpt", "malformed", "withheld",
)  # fmt: skip
_MEANING: Final[Mapping[Operation, str]] = {
    "search": "Codes by code, title (Chinese or English), pinyin or initials; closest first.",
    "lookup": "What a code means, and whether it may be used on a day ($lookup).",
    "validate-code": "Whether a code is listed, written as listed and valid ($validate-code).",
    "validate-list": f"The same for up to {MOST_CODES} codes.",
    "translate": "The codes of another list that stand for a code ($translate).",
    "bundles": "Every bundle with its SHA-256, and the lists of the current one.",
    "download": "One bundle as it was published: an SQLite file.",
}
_DAY: Schema = {"type": ["string", "null"], "format": "date"}


def _text(longest: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _form(pattern: str, said: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": said}


_SYSTEM = _form("^(urn:sluice:codes:)?[a-z][a-z0-9_]{0,31}$", "A list; GET …/bundles names them.")
_VERSION = _form(
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$", "A version of the list; by default what was in force."
)
_NAMES: Final[Mapping[str, Schema]] = {
    "system": _SYSTEM,
    "target": _SYSTEM,
    "version": _VERSION,
    "target_version": _VERSION,
    "code": _text(LONGEST_CODE),
    "codes": {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_CODES,
        "items": _text(LONGEST_CODE),
    },
    "display": _text(LONGEST_DISPLAY),
    "q": _text(LONGEST_QUESTION),
    "date": {"type": "string", "format": "date", "description": "By default today in China."},
    "bundle": _form("^[0-9a-f]{16}$", "A bundle; by default the current one."),
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": DEFAULT_FOUND},
    "cursor": _form(r"^[0-9a-f]{16}\.[1-9][0-9]{0,4}$", "`next_cursor` of the page before."),
    "grant_id": _form("^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$", "By default the first that covers."),
    "purpose": _form("^[a-z][a-z0-9_]{0,63}$", "`code_lookup` or the purpose of the scenario."),
}
_LIST: Schema = {
    "type": "object",
    "required": ["system", "version", "title", "source", "notice", "issued", "republish", "served"],
    "description": "Whose list it is, by which notice, how whole; `mark` 虚构 on invented ones.",
}
_CONCEPT: Schema = {
    "type": "object",
    "required": ["system", "version", "code", "display", "status", "invented"],
    "properties": {
        "code": {"type": "string"},
        "display": {"type": "string"},
        "valid_from": _DAY,
        "valid_to": _DAY,
        "status": {"enum": ["valid", "not_yet_valid", "expired"]},
        "matched": {"enum": [*dict.fromkeys(MATCHED), "listed"]},
    },
}
_JUDGED: Schema = {
    "type": "object",
    "required": ["code", "result", "verdict"],
    "properties": {"result": {"type": "boolean"}, "verdict": {"enum": list(VERDICTS)}},
}
_MATCH: Schema = {
    "type": "object",
    "required": ["concept", "relationship", "weight", "properties"],
    "properties": {
        "concept": _CONCEPT,
        "relationship": {"enum": ["equal", "equivalent", "wider", "narrower", "inexact"]},
        "weight": {"type": ["string", "null"], "description": "Share of the code; they come to 1."},
    },
}
_RESULTS: Final[Mapping[Operation, tuple[tuple[str, ...], Mapping[str, Schema]]]] = {
    "search": (
        ("concepts", "next_cursor"),
        {
            "concepts": {"type": "array", "items": _CONCEPT},
            "next_cursor": {"type": ["string", "null"]},
        },
    ),
    "lookup": (("found", "list"), {"found": {"type": "boolean"}, "concept": _CONCEPT}),
    "validate-code": (("result", "verdict", "list"), {"verdict": {"enum": list(VERDICTS)}}),
    "validate-list": (
        ("total", "valid", "verdicts", "results"),
        {"results": {"type": "array", "items": _JUDGED}},
    ),
    "translate": (("result", "matches"), {"matches": {"type": "array", "items": _MATCH}}),
    "bundles": (("current", "bundles", "lists"), {"lists": {"type": "array", "items": _LIST}}),
}


def lookup_contract(service: Reference) -> dict[str, object]:
    """Everything a consumer needs to ask about codes."""
    return summary(service) | {
        "grain": service.grain,
        "output_level": service.output_level,
        "profile": service.sdc,
        "notes": [note.model_dump() for note in service.notes],
        "verdicts": list(VERDICTS),
        "operations": {
            operation: {
                "means": _MEANING[operation],
                "request_schema": question_schema(operation),
                "result_schema": result_schema(operation),
                "media_types": [JSON, FHIR] if operation in SPOKEN else [JSON],
            }
            for operation in WITH_BODY
        },
        "worked": [one.model_dump(mode="json") for one in service.worked],
    }


def question_schema(operation: Operation) -> Schema:
    """The body of a question."""
    needed, optional = FORMS[operation]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(needed),
        "properties": {name: _NAMES[name] for name in (*needed, *optional, *COMMON)},
    }


def result_schema(operation: Operation) -> Schema:
    """What `result` of an answer holds at least."""
    required, known = _RESULTS[operation]
    properties = {"list": _LIST, **known} if "list" in required else dict(known)
    return {"type": "object", "required": list(required), "properties": properties}


def lookup_paths(
    service: Reference, headers: Schema, refusals: Mapping[str, object]
) -> dict[str, object]:
    """The operations of the service for the OpenAPI document."""
    base = f"/v1/services/{service.id}"
    paths: dict[str, object] = {
        f"{base}/{operation}": _methods(service, operation, headers, refusals)
        for operation in WITH_BODY
    }
    told = {JSON: {"schema": _answer("bundles")}}
    file = {SQLITE: {"schema": {"type": "string", "contentMediaType": SQLITE}}}
    bundle = {"name": "bundle", "in": "path", "required": True, "schema": _NAMES["bundle"]}
    common = [_parameter(name, required=False) for name in COMMON]
    return paths | {
        f"{base}/bundles": {
            "get": _operation(service, "bundles", told, headers, refusals) | {"parameters": common}
        },
        f"{base}/bundles/{{bundle}}": {
            "get": _operation(service, "download", file, headers, refusals)
            | {"parameters": [bundle]}
        },
    }


def _methods(
    service: Reference, operation: Operation, headers: Schema, refusals: Mapping[str, object]
) -> Schema:
    fhir = {FHIR: {"schema": {"type": "object"}}} if operation in SPOKEN else {}
    content: dict[str, object] = {JSON: {"schema": _answer(operation)}, **fhir}
    told = _operation(service, operation, content, headers, refusals)
    asked = {"schema": question_schema(operation), **_example(service, operation)}
    body = {JSON: asked, **fhir}
    post = {**told, "requestBody": {"required": True, "content": body}}
    if operation == "validate-list":
        return {"post": post}
    needed, optional = FORMS[operation]
    names = [(name, name in needed) for name in (*needed, *optional, *COMMON)]
    get = {**told, "operationId": f"get{told['operationId']}"}
    return {
        "post": post,
        "get": {**get, "parameters": [_parameter(name, required=must) for name, must in names]},
    }


def _operation(
    service: Reference,
    operation: Operation,
    content: Mapping[str, object],
    headers: Schema,
    refusals: Mapping[str, object],
) -> Schema:
    name = "".join(part.title() for part in operation.split("-"))
    told = {"description": "The answer.", "headers": headers, "content": dict(content)}
    return {
        "operationId": f"{name}{service.id}",
        "summary": _MEANING[operation],
        "description": f"{service.title.en}\n\n{service.title.zh}",
        "tags": ["data services"],
        "responses": {"200": told, **refusals},
    }


def _example(service: Reference, operation: Operation) -> Schema:
    asked = [one.asked for one in service.worked if one.operation == operation]
    return {"example": asked[0]} if asked else {}


def _parameter(name: str, *, required: bool) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": _NAMES[name]}


def _answer(operation: Operation) -> Schema:
    return {
        "type": "object",
        "required": ["result", "meta"],
        "properties": {"result": result_schema(operation), "meta": {"type": "object"}},
    }
