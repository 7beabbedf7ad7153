"""The OpenAPI document: valid, complete, and true to what the server does."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import orjson
import pytest
from openapi_spec_validator import validate

from gateway.api.openapi import openapi_bytes
from gateway.api.schemas import request_schema
from gateway.catalogue.load import load_catalogue
from gateway.serving.questions import Ask, Range
from gateway.serving.reasons import reasons
from tests.gateway_factory import POLICIES, Gateway

CATALOGUE = load_catalogue(POLICIES)
DOCUMENT: dict[str, Any] = orjson.loads(openapi_bytes(CATALOGUE))


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_every_service_has_its_own_operation() -> None:
    operations = {
        operation["operationId"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    }
    assert operations >= {f"query{service}" for service in CATALOGUE.services}


@pytest.mark.parametrize("service", CATALOGUE.services.values(), ids=lambda service: service.id)
def test_the_documented_body_has_the_fields_the_server_reads(service: Any) -> None:
    schema = request_schema(service)
    properties: Any = schema["properties"]
    read = {field.encode_name for field in msgspec.structs.fields(Ask)}
    assert set(properties) == read - (set() if any(d.levels for d in service.dims) else {"levels"})
    required = {f.encode_name for f in msgspec.structs.fields(Ask) if f.required}
    assert set(schema["required"]) == required  # type: ignore[call-overload]  # a list of names
    period = properties["period"]
    for alternative in period.get("oneOf", [period]):
        assert set(alternative["properties"]) == {
            field.encode_name for field in msgspec.structs.fields(Range)
        }


@pytest.mark.parametrize("service", CATALOGUE.services.values(), ids=lambda service: service.id)
def test_the_example_is_of_the_documented_form(service: Any) -> None:
    jsonschema.Draft202012Validator(request_schema(service)).validate(service.example)


def test_every_status_a_code_can_have_is_documented_for_queries_or_files() -> None:
    paths = DOCUMENT["paths"]
    documented = set(paths["/v1/services/S02/queries"]["post"]["responses"])
    documented |= set(paths["/v1/exports/{job_id}/files/{name}"]["get"]["responses"])
    assert {str(reason.status) for reason in reasons().values()} <= documented


def test_every_deny_code_of_the_policy_has_its_sentences() -> None:
    named = {
        word
        for path in POLICIES.rglob("*.rego")
        for word in path.read_text("utf-8").replace('"', " ").split()
        if len(word) == 4 and word[0] == "D" and word[1:].isdecimal()
    }
    assert "D501" in named
    assert named <= reasons().keys()
    for reason in reasons().values():
        assert reason.en.endswith(".")
        assert reason.zh.endswith("。")


def test_the_server_serves_the_document_with_its_own_address(gateway: Gateway) -> None:
    served = gateway.http.get("/openapi.json").json()
    assert served["servers"] == [{"url": gateway.settings.base_url}]
    assert served["paths"] == DOCUMENT["paths"]
