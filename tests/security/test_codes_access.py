"""Who may look codes up and how often; a refusal is on record and says no more than it may."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.codes_world import asking
from tests.gateway_factory import Gateway

S27 = "/v1/services/S27"
LOOKUP = {"system": "insutype", "code": "310"}


def audited(gateway: Gateway, request: str) -> list[Any]:
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return [
            row
            for table in tables
            for row in db.execute(f"SELECT * FROM {table}")
            if request in str(row)
        ]


@pytest.mark.parametrize(
    "path", ["lookup", "search", "translate", "bundles", "bundles/" + "0" * 16]
)
def test_without_a_token_nobody_is_told_anything(gateway: Gateway, path: str) -> None:
    reply = gateway.http.get(f"{S27}/{path}", params=LOOKUP if path == "lookup" else None)
    assert reply.status_code == 401
    assert reply.json()["code"] != "invalid_parameter"  # the question is not even read
    fhir = gateway.http.get(f"{S27}/lookup", headers={"accept": "application/fhir+json"})
    assert fhir.status_code == 401
    assert fhir.json()["issue"][0]["code"] == "login"
    assert "www-authenticate" in fhir.headers


def test_a_token_of_another_key_is_no_token(gateway: Gateway) -> None:
    asking(gateway)
    token = gateway.token("codes-app")
    reply = gateway.http.get(
        f"{S27}/lookup", params=LOOKUP, headers={"authorization": f"Bearer {token}"}
    )
    assert reply.status_code == 401


def test_a_grant_without_the_service_does_not_open_it(gateway: Gateway) -> None:
    reply = gateway.http.get(f"{S27}/lookup", params=LOOKUP, auth=gateway.auth("ins-app"))
    assert reply.status_code == 403
    assert reply.json()["deny"] == ["D201"]
    rows = audited(gateway, reply.json()["request_id"])
    assert any('"result":"refused"' in str(row) for row in rows)


def test_a_foreign_grant_opens_nothing(gateway: Gateway) -> None:
    auth = asking(gateway)
    foreign = {**LOOKUP, "grant_id": "G-T-INS2"}
    reply = gateway.http.get(f"{S27}/lookup", params=foreign, auth=auth)
    assert reply.status_code == 403
    assert reply.json()["deny"] == ["D201"]


def test_a_foreign_purpose_is_refused_and_the_scenarios_own_is_not(gateway: Gateway) -> None:
    auth = asking(gateway)
    told = [
        gateway.http.get(f"{S27}/lookup", params={**LOOKUP, "purpose": purpose}, auth=auth)
        for purpose in ("actuarial_pricing_and_reserving", "claim_verification")
    ]
    assert [reply.status_code for reply in told] == [200, 403]
    assert told[1].json()["deny"] == ["D301"]


def test_codes_are_no_cells(gateway: Gateway) -> None:
    reply = gateway.ask("S27", client="ins-app")
    assert reply.status_code == 404
    other = gateway.http.post("/v1/services/S02/lookup", json=LOOKUP, auth=asking(gateway))
    assert other.status_code == 404


def test_a_call_beyond_the_day_is_refused_with_the_wait_and_the_quota(
    own_gateway_with: Callable[..., Gateway],
) -> None:
    gateway = own_gateway_with(calls_day=2)
    auth = asking(gateway)
    told = [gateway.http.get(f"{S27}/lookup", params=LOOKUP, auth=auth) for _ in range(3)]
    assert [reply.status_code for reply in told] == [200, 200, 429]
    assert told[2].json()["deny"] == ["D802"]
    assert int(told[2].headers["retry-after"]) > 0
    assert '"calls_day";r=0' in told[2].headers["ratelimit"]
    fhir = gateway.http.get(
        f"{S27}/lookup", params=LOOKUP, headers={"accept": "application/fhir+json"}, auth=auth
    )
    assert fhir.status_code == 429
    assert fhir.json()["issue"][0]["code"] == "throttled"
    assert "retry-after" in fhir.headers


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"system": "insutype", "codes": ["310"] * 1001}),
        (400, {"system": "insutype", "codes": ["3" * 65]}),
        (400, {"system": "insutype", "codes": ["310"], "k": 1}),
        (200, {"system": "insutype", "codes": ["' OR 1=1 --", "%", "_", "３１０", "級別"]}),
    ],
)
def test_too_much_and_rubbish_are_handled(gateway: Gateway, status: int, body: Any) -> None:
    reply = gateway.http.post(f"{S27}/validate-list", json=body, auth=asking(gateway))
    assert reply.status_code == status
    if status == 200:
        assert reply.json()["result"]["valid"] == 0
    else:
        assert "3" * 65 not in reply.text


def test_other_forms_and_methods_are_named(gateway: Gateway) -> None:
    auth = asking(gateway)
    text = gateway.http.post(
        f"{S27}/lookup", content="x", headers={"content-type": "text/plain"}, auth=auth
    )
    assert text.status_code == 415
    csv = gateway.http.get(
        f"{S27}/lookup", params=LOOKUP, headers={"accept": "text/csv"}, auth=auth
    )
    assert csv.status_code == 406
    assert gateway.http.get(f"{S27}/validate-list", auth=auth).status_code == 405
    for name in ("0" * 16, "..%2fcurrent", "current"):
        reply = gateway.http.get(f"{S27}/bundles/{name}", auth=auth)
        assert reply.status_code in (400, 404)
    big = gateway.http.post(f"{S27}/lookup", content=b"x" * 70_000, auth=auth)
    assert big.status_code == 413
