"""Look-ups of codes over real HTTP: the same answers by address, body and FHIR, all on record."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.api.codes_document import WITH_BODY, lookup_contract, result_schema
from gateway.catalogue.load import load_catalogue
from tests.codes_world import asking
from tests.gateway_factory import POLICIES, Gateway

S27 = "/v1/services/S27"
FHIR = "application/fhir+json"
REFERENCE = load_catalogue(POLICIES).references["S27"]


def post(gateway: Gateway, operation: str, body: object, **headers: str) -> httpx.Response:
    return gateway.http.post(f"{S27}/{operation}", json=body, headers=headers, auth=asking(gateway))


def result(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["result"])


@pytest.mark.parametrize("one", REFERENCE.worked, ids=lambda one: str(one.operation))
def test_a_worked_example_is_answered_as_documented(gateway: Gateway, one: Any) -> None:
    told = result(post(gateway, one.operation, one.asked))
    jsonschema.Draft202012Validator(result_schema(one.operation)).validate(told)


def test_an_address_and_a_body_ask_the_same(gateway: Gateway) -> None:
    asked = {"system": "dx", "code": "I10.x00x002", "date": "2025-01-01"}
    by_address = gateway.http.get(f"{S27}/lookup", params=asked, auth=asking(gateway))
    assert result(by_address) == result(post(gateway, "lookup", asked))
    by_code = gateway.http.get("/v1/services/std.lookup/lookup", params=asked, auth=asking(gateway))
    assert result(by_code) == result(by_address)


def test_pages_follow_one_another_without_gap_or_repeat(gateway: Gateway) -> None:
    whole = result(post(gateway, "search", {"system": "dx", "q": "瘤", "limit": 100}))["concepts"]
    found: list[Any] = []
    asked: dict[str, Any] = {"system": "dx", "q": "瘤", "limit": 7}
    while True:
        page = result(post(gateway, "search", asked))
        found += page["concepts"]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert found == whole
    assert len(found) > 7


def test_a_bundle_is_downloaded_as_it_was_published(gateway: Gateway, tmp_path: Path) -> None:
    listed = result(gateway.http.get(f"{S27}/bundles", auth=asking(gateway)))
    one = next(each for each in listed["bundles"] if each["bundle"] == listed["current"])
    reply = gateway.http.get(f"{S27}/bundles/{one['bundle']}", auth=asking(gateway))
    digest = hashlib.sha256(reply.content).digest()
    assert digest.hex() == one["sha256"]
    assert reply.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    (tmp_path / "codes.sqlite").write_bytes(reply.content)
    with closing(sqlite3.connect(tmp_path / "codes.sqlite")) as db:
        served = db.execute("SELECT count(*) FROM concept JOIN list ON n = list WHERE NOT served")
        assert served.fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM concept").fetchone() == (one["codes"],)


def parameters(**values: str) -> dict[str, Any]:
    kinds = {"system": "valueUri", "targetsystem": "valueUri", "code": "valueCode"}
    listed = [{"name": n, kinds.get(n, "valueString"): v} for n, v in values.items()]
    return {"resourceType": "Parameters", "parameter": listed}


def fhir(gateway: Gateway, operation: str, body: object) -> httpx.Response:
    headers = {"accept": FHIR, "content-type": FHIR}
    content = json.dumps(body)
    return gateway.http.post(
        f"{S27}/{operation}", content=content, headers=headers, auth=asking(gateway)
    )


def named(reply: httpx.Response) -> Mapping[str, Any]:
    assert reply.headers["content-type"] == FHIR
    body = reply.json()
    assert body["resourceType"] == "Parameters"
    return {
        one["name"]: next((v for k, v in one.items() if k.startswith("value")), one.get("part"))
        for one in body["parameter"]
    }


def test_a_terminology_client_is_answered_in_its_own_words(gateway: Gateway) -> None:
    found = fhir(gateway, "lookup", parameters(system="urn:sluice:codes:dx", code="I10.x00x002"))
    assert found.status_code == 200
    assert named(found)["display"] == "高血压"
    assert "Sluice-Watermark" in found.headers
    asked = parameters(url="dx", code="I10.x00x002", display="低血压")
    judged = named(fhir(gateway, "validate-code", asked))
    assert (judged["result"], judged["message"]) == (False, "display_differs")
    product = parameters(system="drug", code="XC08CA01A1A001010199999", targetsystem="atc")
    mapped = named(fhir(gateway, "translate", product))
    assert mapped["result"] is True
    parts = {part["name"]: part for part in mapped["match"] if part["name"] != "product"}
    assert parts["equivalence"]["valueCode"] == "wider"
    assert parts["concept"]["valueCoding"]["code"] == "C08CA01"


def test_an_unknown_code_is_an_outcome_for_a_terminology_client(gateway: Gateway) -> None:
    reply = fhir(gateway, "lookup", parameters(system="insutype", code="999"))
    assert reply.status_code == 404
    assert reply.json()["resourceType"] == "OperationOutcome"
    assert reply.json()["issue"][0]["code"] == "not-found"


def test_a_faulty_question_is_an_outcome_for_a_terminology_client(gateway: Gateway) -> None:
    reply = fhir(gateway, "lookup", parameters(system="dx"))
    assert reply.status_code == 400
    assert reply.headers["content-type"] == FHIR
    assert reply.json()["issue"][0]["diagnostics"].startswith("invalid_parameter")


def test_a_call_counts_as_one_of_the_day_and_no_cell(gateway: Gateway) -> None:
    many = {"system": "insutype", "codes": ["310"] * 1000}
    reply = post(gateway, "validate-list", many)
    assert result(reply)["valid"] == 1000
    quota = reply.json()["meta"]["quota"]
    assert set(quota) == {"calls_day"}
    assert '"calls_day";q=' in reply.headers["ratelimit-policy"]
    again = post(gateway, "validate-list", many).json()["meta"]["quota"]
    assert quota["calls_day"]["remaining"] - again["calls_day"]["remaining"] == 1


def test_a_look_up_is_on_record_without_the_code(gateway: Gateway) -> None:
    reply = post(gateway, "lookup", {"system": "dx", "code": "B20.x01"})
    request = reply.json()["meta"]["request_id"]
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        rows = [
            str(row)
            for table in tables
            for row in db.execute(f"SELECT * FROM {table}")
            if request in str(row)
        ]
    told = "".join(rows)
    assert '"operation":"lookup"' in told
    assert '"price_ref":"free"' in told or "free" in told
    assert "B20" not in told


def test_the_contract_and_the_catalogue_show_the_service(gateway: Gateway) -> None:
    listed = gateway.get("/v1/services").json()["services"]
    assert "S27" in {one["id"] for one in listed}
    told = gateway.get(S27).json()
    assert told == json.loads(json.dumps(lookup_contract(REFERENCE)))
    assert set(told["operations"]) == set(WITH_BODY)
