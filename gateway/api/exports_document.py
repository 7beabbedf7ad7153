"""The bulk export in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from gateway.catalogue.load import Catalogue
from gateway.exports.model import FORMS
from gateway.serving.accept import JSON

Schema: TypeAlias = dict[str, object]
Problems: TypeAlias = Callable[[Iterable[int]], dict[str, object]]

TAG: Final = "bulk export"
HEADERS: Final[Mapping[str, str]] = {
    "Content-Location": "Where the job is followed; with 429, the jobs in flight.",
    "X-Progress": "How much of the job is done.",
    "Retry-After": "Seconds to wait before the next look.",
    "Expires": "When the files are gone.",
    "Accept-Ranges": "`bytes`: a download can go on where it broke off.",
    "Content-Range": "Which part of the file this is.",
    "ETag": "Of the file's octets; send it as If-Range with a Range.",
    "Repr-Digest": "SHA-256 of the whole file (RFC 9530).",
}
_START: Final = (400, 401, 403, 404, 409, 415, 422, 429, 451, 503)
_JOB: Final = (401, 403, 404, 410, 503)
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_STATES: Final = ("open", "done", "failed")


def _parameter(name: str, description: str, *, where: str = "query", **schema: object) -> Schema:
    return {
        "name": name,
        "in": where,
        "required": where == "path" or schema.pop("required", False),
        "description": description,
        "schema": {"type": "string", **schema},
    }


_PREFER = _parameter(
    "Prefer", "An export is only made in the background.", where="header", required=True,
    const="respond-async",
)  # fmt: skip
_SINCE = _parameter(
    "_since",
    "Id of a release: rows that read the same in it are left out. By default the release of your "
    "last successful export of the same question; `none` for everything.",
)
_FORMAT = _parameter("_outputFormat", "Format of the files.", enum=[*FORMS], default="ndjson")
_JOB_ID = _parameter("job_id", "Id of the job.", where="path")
_NAME = _parameter("name", "Name of the file, as in the manifest.", where="path")
_ADDRESSED = (
    _parameter("purpose", "As in the body of a query.", required=True),
    _parameter("from", "First period.", required=True),
    _parameter("to", "Last period.", required=True),
    _parameter("grain", "Grain of the periods.", required=True, enum=["month", "quarter", "year"]),
    _parameter("geo", "Regions, with commas between.", required=True),
    _parameter("dims", "Dims, with commas between."),
    _parameter("measures", "Measures, with commas between."),
    _parameter("where", "`dim:value`, with commas between."),
    _parameter("levels", "`dim:level`, with commas between."),
    _parameter("grant_id", "The grant, where several cover the service."),
    _parameter("release", "The release; by default the latest."),
)

_FILE: Final[Schema] = {
    "type": "object",
    "required": ["type", "url", "count", "size", "sha256", "sm3"],
    "properties": {
        "type": _TEXT, "url": _TEXT, "count": _COUNT, "size": _COUNT,
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "sm3": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "cells": _COUNT, "cells_charged": _COUNT, "cells_suppressed": _COUNT,
        "watermark": _TEXT, "decision_id": _TEXT,
    },
}  # fmt: skip
_ERROR: Final[Schema] = {
    "type": "object",
    "required": ["code", "detail", "detail_zh", "deny"],
    "properties": {
        "code": _TEXT, "detail": _TEXT, "detail_zh": _TEXT,
        "deny": {"type": "array", "items": _TEXT},
    },
}  # fmt: skip
_MAYBE: Final[Schema] = {"type": ["string", "null"]}
_NAMES: Final[Schema] = {"type": "array", "items": _TEXT, "uniqueItems": True}
SCHEMAS: Final[Mapping[str, Schema]] = {
    "ExportQuery": {
        "type": "object",
        "description": "The body of a query of the service, without `page_size` and `cursor`.",
        "required": ["purpose", "period", "geo"],
        "properties": {
            "purpose": _TEXT,
            "period": {
                "type": "object",
                "required": ["from", "to", "grain"],
                "properties": {
                    "from": _TEXT, "to": _TEXT,
                    "grain": {"type": "string", "enum": ["month", "quarter", "year"]},
                },
                "additionalProperties": False,
            },
            "geo": _NAMES | {"minItems": 1, "maxItems": 200}, "dims": _NAMES, "measures": _NAMES,
            "where": {"type": "object", "additionalProperties": _TEXT},
            "levels": {"type": "object", "additionalProperties": {"type": "integer"}},
            "grant_id": _TEXT, "release": _TEXT,
        },
        "additionalProperties": False,
    },
    "ExportManifest": {
        "type": "object",
        "required": ["transactionTime", "request", "requiresAccessToken", "output", "error"],
        "properties": {
            "transactionTime": _MOMENT, "request": _TEXT,
            "requiresAccessToken": {"const": True},
            "status": {"type": "string", "enum": ["done", "failed"]},
            "service": _TEXT, "release": _TEXT, "since": _MAYBE, "format": _TEXT,
            "watermark": _TEXT, "expires": _MOMENT, "meta": {"type": "object"},
            "output": {"type": "array", "items": _FILE},
            "deleted": {"type": "array", "maxItems": 0},
            "error": {"type": "array", "items": _ERROR},
        },
    },
    "ExportList": {
        "type": "object",
        "required": ["jobs"],
        "properties": {
            "jobs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "url", "status", "files"],
                    "properties": {
                        "id": _TEXT, "url": _TEXT,
                        "status": {"type": "string", "enum": [*_STATES, "expired"]},
                        "service": _TEXT, "release": _TEXT, "since": _MAYBE, "format": _TEXT,
                        "begun": _MOMENT, "ended": _MAYBE, "expires": _MAYBE,
                        "files": {
                            "type": "object", "properties": {"made": _COUNT, "of": _COUNT},
                        },
                    },
                },
            }
        },
    },
}  # fmt: skip


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _answer(description: str, *headers: str, content: object = None) -> Schema:
    always = ("Sluice-Request-Id", "DPoP-Nonce")
    told: Schema = {
        "description": description,
        "headers": {name: _ref("headers", name) for name in (*always, *headers)},
    }
    return told if content is None else told | {"content": content}


def _operation(name: str, summary: str, answers: Schema, *parameters: Schema) -> Schema:
    told: Schema = {"operationId": name, "summary": summary, "tags": [TAG], "responses": answers}
    return told | ({"parameters": list(parameters)} if parameters else {})


def _json(schema: str) -> Schema:
    return {JSON: {"schema": _ref("schemas", schema)}}


def _starts(catalogue: Catalogue, problems: Problems) -> Schema:
    """One address for all services: an export asks what a query asks."""
    begun = {"202": _answer("The job has begun.", "Content-Location")} | problems(_START)
    services = [key for one in catalogue.services.values() for key in (one.id, one.code)]
    service = _parameter("service", "Id or code of the service.", where="path", enum=services)
    common = (service, _PREFER, _FORMAT, _SINCE, _ref("parameters", "Interaction"))
    post = _operation("startExport", "Start an export.", begun, *common)
    get = _operation("startExportByAddress", "Start an export.", begun, *common, *_ADDRESSED)
    example = next(iter(catalogue.services.values())).example
    body = {"schema": _ref("schemas", "ExportQuery"), "example": example}
    return {"post": post | {"requestBody": {"required": True, "content": {JSON: body}}}, "get": get}


def paths(catalogue: Catalogue, problems: Problems) -> Schema:
    """The addresses of exports."""
    working = _answer("It is being made.", "X-Progress", "Retry-After")
    manifest = _answer("What there is to fetch.", "Expires", content=_json("ExportManifest"))
    content = {form.media: {"schema": _TEXT} for form in FORMS.values()}
    marks = ("Accept-Ranges", "ETag", "Expires", "Repr-Digest", "Sluice-Watermark")
    file = _answer("The file.", *marks, content=content)
    part = _answer("A part of the file.", *marks, "Content-Range", content=content)
    follow = {"202": working, "200": manifest} | problems(_JOB)
    cancelled = {"202": _answer("The job and its files are gone.")} | problems(_JOB)
    fetched = {"200": file, "206": part} | problems((*_JOB, 409, 416, 429, 451))
    listed = {"200": _answer("Your jobs.", content=_json("ExportList"))}
    return {
        "/v1/services/{service}/exports": _starts(catalogue, problems),
        "/v1/exports": {
            "get": _operation("listExports", "Your exports.", listed | problems((401, 403, 503)))
        },
        "/v1/exports/{job_id}": {
            "get": _operation("followExport", "How far an export is.", follow, _JOB_ID),
            "delete": _operation("cancelExport", "Cancel an export.", cancelled, _JOB_ID),
        },
        "/v1/exports/{job_id}/files/{name}": {
            "get": _operation("fetchExport", "A file of an export.", fetched, _JOB_ID, _NAME)
        },
    }
