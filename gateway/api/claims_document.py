"""What the documents say of services about one person's claim: schemas of question and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api.contract import summary
from gateway.api.schemas import Schema
from gateway.catalogue.person import Block, PersonContract, Told
from gateway.claims.asking import FORMS

_BOOLEAN = {"flag": "boolean"}
_NUMBER = {"year": "integer"}


def question_schema(contract: PersonContract) -> Schema:
    """The body of a question, every part written out."""
    schema = FORMS[contract.id].model_json_schema(by_alias=True)
    parts = schema.pop("$defs", {})
    written: Schema = _inlined(schema, parts)
    return written


def _inlined(node: Any, parts: Mapping[str, Any]) -> Any:  # Any: JSON
    if isinstance(node, list):
        return [_inlined(each, parts) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(parts[node["$ref"].rpartition("/")[2]], parts)
    hidden = {"title", "format"} if node.get("format") == "password" else {"title"}
    return {
        name: _inlined(each, parts)
        for name, each in node.items()
        if name not in hidden or not isinstance(each, str)
    }


def _object(properties: Mapping[str, object], *required: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict(properties),
    }


def _told(told: Told) -> Schema:
    if told.form == "codes":
        codes = {"type": "string"}
        return {"type": "array", "items": codes, "description": f"{told.title.zh} {told.title.en}"}
    kind = (_BOOLEAN | _NUMBER).get(told.form, "string")
    types = [kind] if told.form in ("flag", "token") else [kind, "null"]
    return {"type": types, "description": f"{told.title.zh} {told.title.en}"}


def _fields(*blocks: Block) -> dict[str, object]:
    return {name: _told(told) for block in blocks for name, told in block.fields.items()}


def _data(contract: PersonContract) -> Schema:
    """`data` of an answer; what no scope of the consent opens is left out."""
    blocks = contract.blocks
    if "coverage" in blocks:
        coverage = _object(_fields(blocks["coverage"])) | {"type": ["object", "null"]}
        told = {"match": {"type": "boolean"}, "covered": {"type": ["boolean", "null"]}}
        return _object({**told, "coverage": coverage}, "match", "covered", "coverage")
    if not any(block.fields for block in blocks.values()):
        return _object({name: _told(told) for name, told in contract.derived.items()})
    line, diagnosis = _object(_fields(blocks["lines"])), _fields(blocks["diagnosis"])
    lines: Schema = {"type": "array", "items": line}
    settled = _fields(blocks["settlement"], blocks["institution"]) | diagnosis | {"lines": lines}
    words = {"type": "string", "enum": ["equal", "diff"]}
    history = _fields(blocks["history"]) | {
        "dx_family": {"type": ["string", "null"]},
        "prior_diagnosis_flag": {"type": ["boolean", "null"]},
    }
    return _object(
        {
            "claim_ref": {"type": ["string", "null"]},
            "found": {"type": "integer", "minimum": 0},
            "settlements": {"type": "array", "items": _object(settled)},
            "match": {"type": ["object", "null"], "additionalProperties": words},
            "diagnoses": {"type": "array", "items": _object(diagnosis)},
            "lines": lines,
            "history": _object(history),
            "already_claimed": {"type": "boolean"},
        },
        "claim_ref",
    )


def claim_answer_schema(contract: PersonContract) -> Schema:
    """The body of an answer: data, meta, and the bureau's signature over the data."""
    proof = {
        "type": "string",
        "description": "A compact JWS (typ sluice-claim+jwt; ES256 by a key of /oauth/jwks, or "
        "SGD_SM3_SM2 by one of /oauth/jwks/gm for tenants of the GM profile): iss, "
        "aud, iat, jti, service, consent_id, release and the same data.",
    }
    meta = {"type": "object"}
    answer = {"data": _data(contract), "meta": meta, "proof": proof}
    return _object(answer, "data", "meta", "proof")


def claim_path(contract: PersonContract, responses: Mapping[str, object]) -> Schema:
    """The operation of one service."""
    schema = {"$ref": f"#/components/schemas/{contract.id}Query"}
    body: Schema = {"schema": schema}
    if contract.worked:
        body["example"] = contract.worked[0].asked
    named = [{"$ref": f"#/components/parameters/{n}"} for n in ("Interaction", "Idempotency")]
    return {
        f"/v1/services/{contract.id}/verify": {
            "post": {
                "operationId": f"verify{contract.id}",
                "summary": f"{contract.title.zh} {contract.title.en}",
                "description": f"{contract.summary.en}\n\n{contract.summary.zh}",
                "tags": ["data services"],
                "parameters": named,
                "requestBody": {"required": True, "content": {"application/json": body}},
                "responses": dict(responses),
            }
        }
    }


def claim_contract(contract: PersonContract) -> Schema:
    """Everything a consumer needs to write a question and read its answer."""
    return summary(contract) | {
        "grain": contract.grain,
        "output_level": contract.output_level,
        "profile": contract.sdc,
        "min_lag_days": contract.min_lag_days,
        "verify": f"/v1/services/{contract.id}/verify",
        "blocks": {
            name: {
                "scopes": list(block.scopes),
                "fields": {
                    field: {
                        "title": told.title.model_dump(),
                        "classification": {"item": told.item, "level": told.level},
                        "mask": told.mask,
                    }
                    for field, told in block.fields.items()
                },
            }
            for name, block in contract.blocks.items()
        },
        "notes": [note.model_dump() for note in contract.notes],
        "request_schema": question_schema(contract),
        "answer_schema": claim_answer_schema(contract),
    }
