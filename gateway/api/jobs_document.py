"""What the documents say of training jobs: their addresses, and the contract of their services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from gateway.api.contract import summary
from gateway.catalogue.job import JobContract
from gateway.catalogue.load import Catalogue
from gateway.jobs.asking import DECLARED, LONGEST, MOST
from gateway.jobs.views import PackCard
from gateway.serving.accept import JSON
from sandbox.jobs.book import State
from sandbox.jobs.spec import JobSpec

Schema: TypeAlias = dict[str, object]
Problems: TypeAlias = Callable[[Iterable[int]], dict[str, object]]

TAG: Final = "training jobs"
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ASKING: Final = (400, 401, 403, 404, 409, 422, 429, 503)
_LOOKING: Final = (401, 403, 404, 503)
_BRIEF: Final[dict[str, object]] = {
    "job_id": _TEXT, "name": _TEXT, "state": {"type": "string", "enum": [*State]},
    "reason": _TEXT, "submitted_at": _TEXT, "changed_at": _TEXT,
}  # fmt: skip
_OUTPUT: Final[Schema] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _TEXT, "state": {"type": "string", "enum": ["released", "refused"]},
        "comment": _TEXT, "size": _COUNT, "sha256": _HASH,
    },
}  # fmt: skip
_JOB: Final[Schema] = {
    "type": "object",
    "required": [*_BRIEF],
    "properties": {
        **_BRIEF,
        "spec": {"type": "object"},
        "code_digest": _HASH,
        "attempts": {"type": "array", "items": {"type": "object"}},
        "outputs": {"type": "array", "items": _OUTPUT},
    },
}
_VALIDATION: Final[Schema] = {
    "type": "object",
    "required": ["validation_id", "job_id", "name", "state", "submitted_at", "outputs"],
    "properties": {
        "validation_id": _TEXT, "job_id": _TEXT, "name": _TEXT,
        "state": {
            "type": "string",
            "enum": ["proposed", "in_domain", "decided", "declined", "cancelled", "failed"],
        },
        "reason": _TEXT, "submitted_at": _TEXT,
        "outputs": {"type": "array", "items": _OUTPUT},
    },
}  # fmt: skip


def job_contract(service: JobContract) -> Schema:
    """Everything a developer needs to have a job run."""
    return summary(service) | {
        "grain": service.grain,
        "output_level": service.output_level,
        "profile": service.sdc,
        "min_lag_days": service.min_lag_days,
        "notes": [note.model_dump() for note in service.notes],
        "address": "/v1/jobs" if service.reads == "packs" else "/v1/jobs/{job_id}/validations",
        "declaration": JobSpec.model_json_schema(),
        "limits": MOST.model_dump(),
        "archive_bytes": LONGEST,
    }


def paths(catalogue: Catalogue, headers: Schema, problems: Problems) -> Schema:
    """The addresses of jobs and validation runs, where the catalogue has their services."""
    found: Schema = {}
    if catalogue.jobs_on("packs") is not None:
        found |= _jobs(headers, problems)
    if catalogue.jobs_on("views") is not None:
        found |= _validations(headers, problems)
    return found


def _jobs(headers: Schema, problems: Problems) -> Schema:
    made = _told("The job.", {"result": _JOB, "meta": {"type": "object"}}, headers)
    archive = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
    body = {"required": True, "content": archive}
    submit = _operation("submitJob", f"Queue a job: code with `{DECLARED}` at the archive's top.",
                        {"201": made} | problems((*_ASKING, 413, 415)), *_TERMS)  # fmt: skip
    listed = {"jobs": {"type": "array", "items": _JOB}, "packs": {"type": "array", "items": _TEXT}}
    return {
        "/v1/jobs": {
            "post": submit | {"requestBody": body},
            "get": _look("listJobs", "Own jobs, and the packs there are.", listed, problems),
        },
        "/v1/jobs/{job_id}": {
            "get": _look("getJob", "One own job.", _JOB, problems, _ID),
            "delete": _end("cancelJob", "End a job.", _JOB, problems),
        },
        "/v1/packs": {
            "get": _look("listPacks", "Packs there are.", {"packs": listed["packs"]}, problems)
        },
        "/v1/packs/{pack}": {
            "get": _look("getPack", "The data card of a pack.", _CARD, problems, _PACK)
        },
        "/v1/packs/{pack}/files/{name}": {
            "get": _operation(
                "getPackFile", "A file of a pack.",
                {"200": _octets(_OCTETS, headers)} | problems(_ASKING), _PACK, _NAME, *_TERMS,
            )
        },
        "/v1/jobs/{job_id}/log": {
            "get": _operation(
                "getJobLog", "What the job wrote, live while it runs.",
                {"200": _octets("text/plain")} | problems(_LOOKING), _ID,
            )
        },
        "/v1/jobs/{job_id}/outputs/{name}": {
            "get": _operation(
                "getJobOutput", "An output of a job.",
                {"200": _octets(_OCTETS, headers)} | problems((*_ASKING, 410)), _ID, _NAME, *_TERMS,
            )
        },
    }  # fmt: skip


def _validations(headers: Schema, problems: Problems) -> Schema:
    made = _told("The run.", {"result": _VALIDATION, "meta": {"type": "object"}}, headers)
    listed = {"validations": {"type": "array", "items": _VALIDATION}}
    return {
        "/v1/jobs/{job_id}/validations": {
            "post": _operation(
                "proposeValidation", "Propose that the job runs, unchanged, on real views.",
                {"201": made} | problems(_ASKING), _ID, *_TERMS,
            )
        },
        "/v1/validations": {
            "get": _look("listValidations", "Own validation runs.", listed, problems)
        },
        "/v1/validations/{job_id}": {
            "get": _look("getValidation", "One own validation run.", _VALIDATION, problems, _ID),
            "delete": _end("cancelValidation", "End a validation run.", _VALIDATION, problems),
        },
        "/v1/validations/{job_id}/outputs/{name}": {
            "get": _operation(
                "getReleasedOutput", "An output that two reviewers released.",
                {"200": _octets(_OCTETS, headers)} | problems(_ASKING), _ID, _NAME, *_TERMS,
            )
        },
    }  # fmt: skip


_OCTETS: Final = "application/octet-stream"


def _parameter(name: str, where: str, description: str, *, required: bool = True) -> Schema:
    named = {"name": name, "in": where, "description": description}
    return {**named, "required": required, "schema": _TEXT}


_CARD: Final[Schema] = {
    "type": "object",
    "required": sorted(PackCard.model_fields),
    "properties": {
        "name": _TEXT,
        "title": {"type": "object", "properties": {"zh": _TEXT, "en": _TEXT}},
        "synthetic": {"const": True},
        "note": _TEXT, "source": {"type": "object"},
        "rows": _COUNT, "left_out": _COUNT, "k": _COUNT,
        "columns": {"type": "object", "additionalProperties": _TEXT},
        "files": {"type": "object", "additionalProperties": _HASH},
    },
}  # fmt: skip
_PACK: Final = _parameter("pack", "path", "Name of the pack.")
_ID: Final = _parameter("job_id", "path", "Id of the job or run.")
_NAME: Final = _parameter("name", "path", "Name of the output.")
_TERMS: Final = (
    _parameter("purpose", "query", "The purpose of the grant's scenario."),
    _parameter("grant_id", "query", "The grant, where several cover the service.", required=False),
    _parameter("Idempotency-Key", "header", "The same key: the same job.", required=False),
)


def _operation(name: str, text: str, answers: Schema, *parameters: Schema) -> Schema:
    told = {"operationId": name, "summary": text, "tags": [TAG], "responses": answers}
    return told | ({"parameters": list(parameters)} if parameters else {})


def _told(text: str, properties: Schema, headers: Schema | None = None) -> Schema:
    schema = {"type": "object", "properties": properties}
    return {
        "description": text,
        "content": {JSON: {"schema": schema}},
        **({"headers": headers} if headers else {}),
    }


def _look(
    name: str, text: str, told: Mapping[str, object], problems: Problems, *parameters: Schema
) -> Schema:
    schema = told if "type" in told else {"type": "object", "properties": told}
    answer = {"description": text, "content": {JSON: {"schema": schema}}}
    return _operation(name, text, {"200": answer} | problems(_LOOKING), *parameters)


def _end(name: str, text: str, told: Schema, problems: Problems) -> Schema:
    answer = {"description": text, "content": {JSON: {"schema": told}}}
    return _operation(name, text, {"202": answer} | problems((*_LOOKING, 409)), _ID)


def _octets(media: str, headers: Schema | None = None) -> Schema:
    content = {media: {"schema": {"type": "string", "format": "binary"}}}
    told: Schema = {"description": "Its bytes.", "content": content}
    return told | ({"headers": headers} if headers else {})
