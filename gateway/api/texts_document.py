"""What the documents say of the service of texts: its question, its answer, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.api.contract import summary
from gateway.catalogue.text import TextContract
from gateway.freetext.known import LONGEST, SHORTEST
from gateway.serving.accept import JSON
from gateway.texts.asking import KIND, LONGEST_ID, MOST_CHARACTERS, MOST_KNOWN, MOST_TEXTS

Schema: TypeAlias = dict[str, object]
STATUSES: Final = (400, 401, 403, 406, 415, 422, 429, 503)
EXAMPLE: Final = {
    "texts": [{"id": "1", "text": "患者某甲，住院号ZY20230415。", "known": {"PERSON": ["某甲"]}}],
    "spans": True,
}
_VALUE: Schema = {"type": "string", "minLength": SHORTEST, "maxLength": LONGEST}
_TEXT: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "text"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
        "text": {"type": "string", "maxLength": MOST_CHARACTERS},
        "known": {
            "type": "object",
            "description": f"The row's own values by kind, {MOST_KNOWN} at most; always replaced.",
            "propertyNames": {"pattern": f"^{KIND.pattern}$"},
            "additionalProperties": {"type": "array", "items": _VALUE},
        },
    },
}
QUESTION: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["texts"],
    "description": f"Of all texts together {MOST_CHARACTERS} characters at most.",
    "properties": {
        "texts": {"type": "array", "minItems": 1, "maxItems": MOST_TEXTS, "items": _TEXT},
        "strict": {"type": "boolean", "description": "Mask what is less probably a name, too."},
        "spans": {"type": "boolean", "description": "Tell where, in characters of the original."},
        "grant_id": {"type": "string", "maxLength": 128},
        "purpose": {"type": "string", "maxLength": 64},
    },
}
_CLEAN: Schema = {
    "type": "object",
    "required": ["id", "text"],
    "properties": {
        "id": {"type": "string"},
        "text": {"type": "string"},
        "spans": {
            "type": "array",
            "items": {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "integer"}, {"type": "string"}],
            },
        },
    },
}
ANSWER: Final[Schema] = {
    "type": "object",
    "required": ["result", "meta"],
    "properties": {
        "result": {
            "type": "object",
            "required": ["texts", "counts"],
            "properties": {
                "texts": {"type": "array", "items": _CLEAN},
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        },
        "meta": {"type": "object"},
    },
}


def text_contract(service: TextContract) -> Schema:
    """Everything a consumer needs to have texts cleaned."""
    return summary(service) | {
        "grain": service.grain,
        "output_level": service.output_level,
        "profile": service.sdc,
        "notes": [note.model_dump() for note in service.notes],
        "address": "/v1/text/deidentify",
        "request_schema": QUESTION,
        "answer_schema": ANSWER,
    }


def text_path(
    service: TextContract, headers: Schema, refusals: Mapping[str, object]
) -> dict[str, object]:
    """The operation for the OpenAPI document."""
    told = {"description": "The answer.", "headers": headers, "content": {JSON: {"schema": ANSWER}}}
    asked = {JSON: {"schema": QUESTION, "example": EXAMPLE}}
    return {
        "/v1/text/deidentify": {
            "post": {
                "operationId": "deidentifyTexts",
                "summary": "Your own texts without identifiers and persons' names.",
                "description": f"{service.title.en}\n\n{service.title.zh}",
                "tags": ["data services"],
                "requestBody": {"required": True, "content": asked},
                "responses": {"200": told, **refusals},
            }
        }
    }
