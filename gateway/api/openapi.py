"""The OpenAPI 3.1 document, generated from the catalogue: one operation per service.

Routing stays one parametrised route; the document writes each service out with its real schemas,
so that a client generator and a fuzzer know every dim, measure and status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from gateway.api import audit_document
from gateway.api import authzen_document as authzen
from gateway.api import conformance_document as conformance
from gateway.api import exports_document as exports
from gateway.api import jobs_document as jobs
from gateway.api import portal_document as portal
from gateway.api import sandbox_document as sandbox
from gateway.api import statements_document as statements
from gateway.api.authzen import EVALUATION, EVALUATIONS, METADATA
from gateway.api.claims_document import claim_answer_schema, claim_path
from gateway.api.claims_document import question_schema as claim_question
from gateway.api.codes_document import STATUSES, lookup_paths
from gateway.api.feasibility_document import (
    cohort_answer_schema,
    cohort_meta,
    cohort_path,
    question_schema,
)
from gateway.api.problems import MEDIA_TYPE
from gateway.api.schemas import META, PROBLEM, Schema, answer_schema, request_schema
from gateway.api.texts_document import STATUSES as TEXT_STATUSES
from gateway.api.texts_document import text_path
from gateway.api.traces_document import STATUSES_TOLD as TRACE_STATUSES
from gateway.api.traces_document import trace_path
from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.fhir.capability import MEDIA as FHIR
from gateway.identity.sealing import MEDIA as SEALED
from gateway.serving.accept import ARROW, CSV, JSON
from gateway.serving.repeats import HEADER, PATTERN, REPLAYED

VERSION = "1.0.0"
_ALWAYS = (400, 405, 413, 415, 431, 500, 503)
_MEANING = {
    400: "The request is not of the documented form, or tries to set disclosure control.",
    401: "No valid access token.",
    403: "The policy refuses; `deny` lists its codes.",
    404: "No such service.",
    405: "The address does not take this method.",
    406: "None of the accepted formats can be served.",
    409: "The release of the cursor or request is no longer served; or the Idempotency-Key belongs "
    "to another request, or its first call is still being answered (see Retry-After).",
    410: "The files were kept for their time and are gone.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not application/json, or in a content coding.",
    416: "The file ends before the range asked for.",
    422: "The disclosure profile refuses these dims.",
    431: "The head of the request is too large.",
    429: "A quota is used up; see Retry-After.",
    451: "A region opted out of this use.",
    500: "Something failed inside; nothing was answered.",
    503: "A part the answer depends on is down, or too much is under way; nothing left.",
}
_QUERY_STATUSES = (400, 401, 403, 404, 406, 409, 415, 422, 429, 451, 503)
_INTERACTION: Schema = {
    "name": "x-fapi-interaction-id",
    "in": "header",
    "required": False,
    "description": "A UUID of the caller's, echoed in the answer and kept in the audit.",
    "schema": {"type": "string", "format": "uuid"},
}
_IDEMPOTENCY: Schema = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A key of the caller's for this request, in quotes or without. The same request "
    "under the same key is answered with the same cells, and counted and charged once; an answered "
    "key is kept for 72 hours. Refused and failed calls keep no key.",
    "schema": {"type": "string", "pattern": f'^("{PATTERN}"|{PATTERN})$'},
}
_TEXT: Schema = {"type": "string"}
_OWN_TAGS = (exports.TAG, "catalogue and usage", authzen.TAG, conformance.TAG)
_TAGS = ("data services", *_OWN_TAGS, "health")
_RATES = ("RateLimit", "RateLimit-Policy")
_MARKS = ("Sluice-Watermark", *_RATES)


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _problems(statuses: Iterable[int]) -> dict[str, object]:
    return {str(s): _ref("responses", f"Problem{s}") for s in sorted({*statuses, *_ALWAYS})}


def _headers(*names: str) -> Schema:
    always = ("Sluice-Request-Id", "DPoP-Nonce")
    return {name: _ref("headers", name) for name in (*always, *names)}


def _success(content: Mapping[str, object], *headers: str) -> Schema:
    return {"description": "The answer.", "headers": _headers(*headers), "content": dict(content)}


def _query(service: Service) -> Schema:
    name = service.id
    content = {
        JSON: {"schema": _ref("schemas", f"{name}Answer")},
        CSV: {"schema": _TEXT | {"description": "RFC 4180; meta is in the Sluice-Meta header."}},
        ARROW: {"schema": _TEXT | {"contentMediaType": ARROW}},
    }
    marks = ("Sluice-Meta", "Sluice-Next-Cursor", "Sluice-Watermark", REPLAYED, *_RATES)
    body = {"schema": _ref("schemas", f"{name}Query"), "example": service.example}
    return {
        "operationId": f"query{name}",
        "summary": f"{service.title.zh} {service.title.en}",
        "description": f"{service.summary.en}\n\n{service.summary.zh}",
        "tags": ["data services"],
        "parameters": [_ref("parameters", "Interaction"), _ref("parameters", "Idempotency")],
        "requestBody": {"required": True, "content": {JSON: body}},
        "responses": {"200": _success(content, *marks)} | _problems(_QUERY_STATUSES),
    }


_SEALED: Schema = {
    "schema": {
        "type": "string",
        "description": "To clients registered for it: a compact JWE, the proof (cty JWT) or the "
        "FHIR Bundle (cty fhir+json) inside.",
    }
}
_BUNDLE: Schema = {
    "schema": {
        "type": "object",
        "description": "A FHIR R4 Bundle: Parameters, then ExplanationOfBenefit or Coverage; its "
        "signature holds the proof.",
    }
}


def _read(operation: str, summary: str, schema: Schema, statuses: Iterable[int]) -> Schema:
    return {
        "operationId": operation,
        "summary": summary,
        "tags": ["catalogue and usage"],
        "responses": {"200": _success({JSON: {"schema": schema}})} | _problems(statuses),
    }


def _service_parameter(catalogue: Catalogue) -> Schema:
    services = [(one.id, one.code) for one in catalogue.services.values()]
    cohorts = [(one.id, one.code) for one in catalogue.cohorts.values()]
    keys = [key for both in (*services, *cohorts) for key in both]
    schema = {"type": "string", "enum": keys}
    return {"name": "service", "in": "path", "required": True, "schema": schema}


_MONTH: Schema = {
    "name": "month",
    "in": "query",
    "required": False,
    "description": "Month of account, by default the current one in China.",
    "schema": {"type": "string", "pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])$"},
}
_ANY: Schema = {"type": "object"}
_LIST: Schema = {
    "type": "object",
    "required": ["services"],
    "properties": {"services": {"type": "array", "items": _ANY}},
}
_USAGE: Schema = {
    "type": "object",
    "required": ["month", "usage"],
    "properties": {"month": _TEXT, "usage": {"type": "array", "items": _ANY}},
}
_STATE: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "enum": ["ok", "starting", "failing"]}},
}


def _health(operation: str, summary: str, ready: bool) -> Schema:
    content = {JSON: {"schema": _STATE}}
    answers: dict[str, object] = {"200": _success(content)} | _problems(())
    if ready:
        answers["503"] = _success(content) | {"description": "Not ready to answer."}
    return {
        "operationId": operation,
        "summary": summary,
        "tags": ["health"],
        "security": [],
        "responses": answers,
    }


def _evaluation(words: Mapping[str, str], asked: str, told: str) -> Schema:
    """An operation of the decision point."""
    content = {JSON: {"schema": _ref("schemas", told)}}
    return {
        **words,
        "tags": [authzen.TAG],
        "parameters": [authzen.REQUEST_ID, _ref("parameters", "Interaction")],
        "requestBody": authzen.body(asked),
        "responses": {"200": _success(content, "X-Request-ID")} | _problems(authzen.STATUSES),
    }


def _decision_point() -> dict[str, object]:
    found = _read(
        "findDecisionPoint", "Where decisions are to be had.", authzen.METADATA_SCHEMA, ()
    )
    return {
        EVALUATION: {"post": _evaluation(authzen.ONE, "AccessEvaluation", "AccessDecision")},
        EVALUATIONS: {"post": _evaluation(authzen.MANY, "AccessEvaluations", "AccessDecisions")},
        METADATA: {"get": found | {"tags": [authzen.TAG], "security": []}},
    }


def _paths(catalogue: Catalogue) -> dict[str, object]:
    paths: dict[str, object] = {
        f"/v1/services/{service.id}/queries": {"post": _query(service)}
        for service in catalogue.services.values()
    }
    one = _read("getService", "The contract of one service.", _ANY, (401, 404, 503))
    usage = _read("getUsage", "What your organisation has used.", _USAGE, (400, 401, 503))
    for counted in catalogue.cohorts.values():
        told = _success({JSON: {"schema": _ref("schemas", f"{counted.id}Answer")}}, *_MARKS)
        paths |= cohort_path(counted, {"200": told} | _problems(_QUERY_STATUSES))
    for person in catalogue.persons.values():
        spoken = {
            JSON: {"schema": _ref("schemas", f"{person.id}Answer")},
            FHIR: _BUNDLE,
            SEALED: _SEALED,
        }
        told = _success(spoken, REPLAYED, *_MARKS)
        paths |= claim_path(person, {"200": told} | _problems(_QUERY_STATUSES))
    for reference in catalogue.references.values():
        paths |= lookup_paths(reference, _headers("Sluice-Watermark", *_RATES), _problems(STATUSES))
    for text in catalogue.texts.values():
        paths |= text_path(text, _headers("Sluice-Watermark", *_RATES), _problems(TEXT_STATUSES))
    for trace in catalogue.traces.values():
        paths |= trace_path(trace, _headers("Sluice-Watermark", *_RATES), _problems(TRACE_STATUSES))
    return (
        paths
        | exports.paths(catalogue, _problems)
        | jobs.paths(catalogue, _headers("Sluice-Watermark", *_RATES), _problems)
        | _decision_point()
        | conformance.paths(_headers(), _problems)
        | sandbox.paths(_headers(), _problems)
        | portal.link_path(_headers(), _problems(portal.STATUSES))
        | audit_document.paths(_read)
        | {
            "/v1/services": {
                "get": _read("listServices", "Every data service on offer.", _LIST, (401, 503))
            },
            "/v1/services/{service}": {
                "get": one | {"parameters": [_service_parameter(catalogue)]}
            },
            "/v1/services/{service}/lineage": {
                "get": _read(
                    "getLineage",
                    "Where each column of the latest release comes from: an OpenLineage event.",
                    _ANY,
                    (401, 404, 503),
                )
                | {"parameters": [_service_parameter(catalogue)]}
            },
            "/v1/usage": {"get": usage | {"parameters": [_MONTH]}},
            "/v1/statements": {
                "get": _read(
                    "listStatements", "Your own statements.", statements.LIST, (401, 403, 404, 503)
                )
                | {"parameters": [statements.AFTER]}
            },
            "/v1/statements/{number}": {"get": _statement()},
            "/v1/fhir/metadata": {"get": _metadata()},
            "/healthz": {"get": _health("live", "Whether the process lives.", ready=False)},
            "/readyz": {"get": _health("ready", "Whether it can answer.", ready=True)},
        }
    )


def _metadata() -> Schema:
    told = _success({FHIR: {"schema": _ANY}})
    return _read("fhirMetadata", "The FHIR R4 CapabilityStatement.", _ANY, ()) | {
        "security": [],
        "responses": {"200": told},
    }


def _statement() -> Schema:
    statuses = (401, 403, 404, 406, 503)
    told = _success(statements.CONTENT, *statements.HEADERS)
    return _read("getStatement", "One of your statements or credit notes.", _ANY, ()) | {
        "parameters": [statements.NUMBER],
        "responses": {"200": told} | _problems(statuses),
    }


def _header(description: str) -> Schema:
    return {"description": description, "schema": _TEXT}


def _problem_response(status: int) -> Schema:
    headers: dict[str, object] = _headers()
    if status in (409, 429, 503):
        headers["Retry-After"] = _header("Seconds to wait.")
    if status == 429:
        headers |= {name: _ref("headers", name) for name in _RATES}
    if status == 401:
        headers["WWW-Authenticate"] = _header("How to prove identity.")
    return {
        "description": _MEANING[status],
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": _ref("schemas", "Problem")}},
    }


def _components(catalogue: Catalogue, base_url: str) -> Schema:
    schemas: dict[str, object] = {"Problem": PROBLEM, "Meta": META} | authzen.request_schemas()
    for service in catalogue.services.values():
        schemas[f"{service.id}Query"] = request_schema(service)
        schemas[f"{service.id}Answer"] = answer_schema(service, _ref("schemas", "Meta"))
    for counted in catalogue.cohorts.values():
        schemas[f"{counted.id}Query"] = question_schema(counted, {})
        schemas[f"{counted.id}Answer"] = cohort_answer_schema(cohort_meta(META))
    for person in catalogue.persons.values():
        schemas[f"{person.id}Query"] = claim_question(person)
        schemas[f"{person.id}Answer"] = claim_answer_schema(person)
    schemas |= dict(exports.SCHEMAS)
    flow = {"tokenUrl": f"{base_url}/oauth/token", "scopes": {}}
    return {
        "schemas": schemas,
        "responses": {f"Problem{status}": _problem_response(status) for status in _MEANING},
        "parameters": {"Interaction": _INTERACTION, "Idempotency": _IDEMPOTENCY},
        "headers": {
            "Sluice-Request-Id": _header("Id of this request in audit and support."),
            "DPoP-Nonce": _header("Nonce for the next DPoP proof (RFC 9449 §8); to DPoP callers."),
            "X-Request-ID": _header("The caller's own id of this call, where it sent one."),
            "Sluice-Meta": _header("The answer's meta as one line of ASCII JSON."),
            "Sluice-Next-Cursor": _header("Cursor of the next page, absent on the last."),
            "Sluice-Watermark": _header("Mark of this answer."),
            REPLAYED: _header(
                "`true`: answered before under this Idempotency-Key, not counted again."
            ),
            **{name: _header(told) for name, told in statements.HEADERS.items()},
            **{name: _header(told) for name, told in exports.HEADERS.items()},
            "RateLimit": _header(
                "Of each quota what remains (`r`) and the seconds until it begins anew (`t`), as "
                "draft-ietf-httpapi-ratelimit-headers has it; days and months end in China."
            ),
            "RateLimit-Policy": _header(
                "The quotas of the grant by name: `q` in a window of `w` seconds."
            ),
        },
        "securitySchemes": {
            "token": {
                "type": "oauth2",
                "description": "client_credentials with private_key_jwt or tls_client_auth. Tokens "
                "are bound: send `Authorization: DPoP <token>` with a proof of each request in the "
                "DPoP header (RFC 9449), or `Bearer` on the connection of the client certificate "
                "(RFC 8705). 401 with use_dpop_nonce: repeat with the nonce of DPoP-Nonce.",
                "flows": {"clientCredentials": flow},
            }
        },
    }


def openapi_document(catalogue: Catalogue, base_url: str = "") -> Schema:
    """The whole document; without a base URL, addresses are relative to where it is served."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sluice",
            "version": VERSION,
            "summary": "Desensitised data services of a medical-insurance bureau",
            "description": "Every figure was protected when its release was built; a request is a "
            "look-up. Flags: ok exact, r rounded, s and c suppressed, z structural zero, "
            "e estimated, v as published before (too few persons changed it since, or nobody).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url or "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in _TAGS],
        "paths": _paths(catalogue),
        "components": _components(catalogue, base_url),
    }


def openapi_bytes(catalogue: Catalogue, base_url: str = "") -> bytes:
    """The document as it is written to `docs/openapi.json` and served."""
    document = openapi_document(catalogue, base_url)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"
