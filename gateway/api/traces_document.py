"""What the documents say of the service of trace codes: its question, its answer, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.api.contract import summary
from gateway.catalogue.trace import TraceContract
from gateway.serving.accept import JSON
from gateway.traces.asking import FORMS
from gateway.traces.forms import LONGEST
from gateway.traces.guard import CHECKS_A_DAY, MISSES_AN_HOUR
from gateway.traces.standing import STATUSES

Schema: TypeAlias = dict[str, object]
STATUSES_TOLD: Final = (400, 401, 403, 404, 406, 415, 429, 503)
_TEXT: Schema = {"type": ["string", "null"]}
_SAID: Mapping[str, str] = {
    "catalogue_code": "The code the caller has the product under; the answer says whether it fits.",
    "device": f"Which device asks, by an id of the app's own; needed from apps of the public and "
    f"of insured persons, {CHECKS_A_DAY} checks a day each.",
    "grant_id": "By default the first that covers.",
    "purpose": "`code_lookup` or the purpose of the scenario.",
}
QUESTION: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["code"],
    "properties": {
        "code": {
            "type": "string",
            "maxLength": LONGEST,
            "description": "20 digits, or a UDI as (01)…(11)…(17)…(10)…(21)….",
        },
        **{
            name: {"type": "string", "pattern": f"^{form.pattern}$", "description": _SAID[name]}
            for name, form in FORMS.items()
        },
    },
}
_PRODUCT: Schema = {
    "type": ["object", "null"],
    "required": ["med_list_codg", "genname", "spec", "maker", "mah"],
    "properties": dict.fromkeys(("med_list_codg", "genname", "spec", "maker", "mah"), _TEXT),
}
RESULT: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind", "status", "first_sale_month", "expired", "product"],
    "properties": {
        "kind": {"enum": ["drug", "device"]},
        "status": {"enum": list(STATUSES)},
        "first_sale_month": {"type": ["string", "null"], "pattern": r"^\d{4}-\d{2}$"},
        "expired": {"type": ["boolean", "null"]},
        "product": _PRODUCT,
        "catalogue_code_matches": {"type": ["boolean", "null"]},
    },
}
ANSWER: Final[Schema] = {
    "type": "object",
    "required": ["result", "meta"],
    "properties": {"result": RESULT, "meta": {"type": "object"}},
}


def trace_contract(service: TraceContract) -> Schema:
    """Everything a consumer needs to check packs."""
    return summary(service) | {
        "grain": service.grain,
        "output_level": service.output_level,
        "profile": service.sdc,
        "notes": [note.model_dump() for note in service.notes],
        "address": f"/v1/services/{service.id}/check",
        "unknown_codes_an_hour": MISSES_AN_HOUR,
        "request_schema": QUESTION,
        "answer_schema": ANSWER,
        "worked": [one.model_dump(mode="json") for one in service.worked],
    }


def trace_path(
    service: TraceContract, headers: Schema, refusals: Mapping[str, object]
) -> dict[str, object]:
    """The operation for the OpenAPI document."""
    told = {"description": "The answer.", "headers": headers, "content": {JSON: {"schema": ANSWER}}}
    example = {"example": service.worked[0].asked} if service.worked else {}
    return {
        f"/v1/services/{service.id}/check": {
            "post": {
                "operationId": f"check{service.id}",
                "summary": "What became of one pack.",
                "description": f"{service.title.en}\n\n{service.title.zh}",
                "tags": ["data services"],
                "requestBody": {
                    "required": True,
                    "content": {JSON: {"schema": QUESTION, **example}},
                },
                "responses": {"200": told, **refusals},
            }
        }
    }
