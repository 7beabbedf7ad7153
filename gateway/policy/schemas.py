"""Check policy documents against the JSON schemas of `policies/schemas` before rules read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import BaseModel

from gateway.policy.documents import Grant, PolicyDataError, Region, Tenant
from gateway.policy.port import PolicyInput


def findings(schemas: Path, documents: Mapping[str, Any]) -> Iterator[str]:
    """One sentence per place where a document is not of its schema."""
    schema = (schemas / "data.json").read_text(encoding="utf-8")
    for error in _validator(schema).iter_errors(dict(documents)):
        yield f"data.{'.'.join(str(part) for part in error.absolute_path)}: {error.message[:200]}"


def check_documents(schemas: Path, documents: Mapping[str, Any]) -> None:
    """Raise `PolicyDataError` with the first finding; good documents pass silently."""
    for finding in findings(schemas, documents):
        raise PolicyDataError(f"Policy data are not of the agreed form: {finding}")


@lru_cache(maxsize=4)
def _validator(text: str) -> Draft202012Validator:
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def generated() -> dict[str, bytes]:
    """Schemas that follow from the models of the gateway: the question, and directory documents."""
    question = PolicyInput.model_json_schema(by_alias=True, mode="serialization")
    documents: dict[str, type[BaseModel]] = {"tenant": Tenant, "grant": Grant, "region": Region}
    return {
        "input.json": _pretty(question),
        **{f"{name}.json": _pretty(form.model_json_schema()) for name, form in documents.items()},
    }


def _pretty(schema: Mapping[str, Any]) -> bytes:
    return (json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
