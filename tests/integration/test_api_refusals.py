"""Refusals over real HTTP: each has its status, its codes and its entry in the journal."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.api.schemas import PROBLEM
from gateway.db.engine import writing
from gateway.identity.entries import TenantUpdate
from gateway.identity.organisations import update_tenant
from tests.factories_identity import act
from tests.gateway_factory import COST, Gateway

VALIDATOR = jsonschema.Draft202012Validator(PROBLEM)


def refused(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, of the documented form."""
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = dict(reply.json())
    VALIDATOR.validate(problem)
    assert problem["request_id"] == reply.headers["sluice-request-id"]
    assert problem["detail"]
    assert problem["detail_zh"]
    return problem


def journal(gateway: Gateway, request_id: str) -> dict[str, Any]:
    """What the journal holds of a request."""
    with closing(sqlite3.connect(gateway.settings.journal)) as db:
        audit = db.execute(
            "SELECT body FROM audit_event WHERE request_id = ?", (request_id,)
        ).fetchone()
        decision = db.execute(
            "SELECT body FROM decision WHERE request_id = ?", (request_id,)
        ).fetchone()
        usage = db.execute(
            "SELECT count(*) FROM usage_event WHERE request_id = ?", (request_id,)
        ).fetchone()
    return {
        "audit": json.loads(audit[0]) if audit else None,
        "decision": json.loads(decision[0]) if decision else None,
        "usage": usage[0],
    }


@pytest.mark.parametrize(
    ("changed", "status", "deny"),
    [
        ({"purpose": "marketing"}, 403, ["D301"]),
        ({"grant_id": "G-NONE"}, 403, ["D201"]),
        ({"grant_id": "G-T-INS2"}, 403, ["D201"]),
        ({"dims": ["dx_cat3"]}, 403, ["D402"]),
        ({"dims": ["nonsense"]}, 403, ["D402"]),
        ({"dims": ["insutype2", "gend", "benefit5", "hosp_lv4", "pay_loc3"]}, 422, ["D403"]),
        ({"measures": ["nonsense"]}, 403, ["D404"]),
        ({"geo": ["990200"]}, 403, ["D501"]),
        ({"period": {"from": "2019Q1", "to": "2019Q2", "grain": "quarter"}}, 403, ["D504"]),
        ({"period": {"from": "2025Q2", "to": "2025Q2", "grain": "quarter"}}, 403, ["D505"]),
    ],
)
def test_a_policy_refusal_lists_its_codes_and_is_recorded(
    gateway: Gateway, changed: dict[str, Any], status: int, deny: list[str]
) -> None:
    reply = gateway.ask("S02", {**COST, **changed})
    problem = refused(reply, status, "refused")
    assert set(deny) <= set(problem["deny"])
    assert [one["code"] for one in problem["reasons"]] == problem["deny"]

    kept = journal(gateway, problem["request_id"])
    assert kept["decision"]["allow"] is False
    assert kept["decision"]["deny"] == problem["deny"]
    assert kept["audit"]["result"] == "refused"
    assert kept["usage"] == 0


@pytest.mark.parametrize(
    "attempt",
    [
        {"k_person": 1},
        {"where": {"suppression": "off"}},
        {"period": {**COST["period"], "round": 0}},
    ],
)
def test_an_attempt_to_set_disclosure_control_is_refused_and_recorded(
    gateway: Gateway, attempt: dict[str, Any]
) -> None:
    problem = refused(gateway.ask("S02", {**COST, **attempt}), 400, "client_sdc_parameter")
    assert problem["deny"] == ["D406"]
    kept = journal(gateway, problem["request_id"])
    assert kept["decision"]["deny"] == ["D406"]
    assert kept["audit"]["tenant"] == "T-INS"


def test_an_attempt_in_the_address_is_refused_and_recorded(gateway: Gateway) -> None:
    reply = gateway.http.post("/v1/services/S02/queries?k=1", json=COST, auth=gateway.auth())
    problem = refused(reply, 400, "client_sdc_parameter")
    assert journal(gateway, problem["request_id"])["audit"]["deny_codes"] == ["D406"]


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"surprise": 1}, 400, "invalid_parameter"),
        ({"page_size": 0}, 400, "invalid_parameter"),
        ({"page_size": 2**63}, 400, "invalid_parameter"),
        ({"geo": []}, 400, "invalid_parameter"),
        ({"dims": ["gend", "gend"]}, 400, "invalid_parameter"),
        ({"period": {"from": "2024Q2", "to": "2024Q1", "grain": "quarter"}}, 400, "invalid_period"),
        ({"where": {"gend": "9"}}, 400, "value_not_listed"),
        ({"measures": ["amount"]}, 400, "measure_not_in_cell"),
        ({"period": {"from": "2023Q4", "to": "2024Q1", "grain": "quarter"}}, 400,
         "period_not_released"),
        ({"release": "S02-0000000000000000"}, 409, "release_changed"),
        ({"release": "S02-nonsense"}, 409, "release_changed"),
    ],
)  # fmt: skip
def test_what_the_contract_does_not_allow_is_a_problem_with_a_code(
    gateway: Gateway, changed: dict[str, Any], status: int, code: str
) -> None:
    refused(gateway.ask("S02", {**COST, **changed}), status, code)


def post(gateway: Gateway, content: Any, headers: dict[str, str]) -> httpx.Response:
    """A query of any octets."""
    path = "/v1/services/S02/queries"
    return gateway.http.post(path, content=content, headers=headers, auth=gateway.auth())


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"null", 400, "invalid_parameter"),
        (b"\x00\xff\xfe", 400, "malformed_json"),
        (b"[" * 60_000, 400, "malformed_json"),
        (b'{"a":' * 10_000, 400, "malformed_json"),
        (b" " * 65_537, 413, "body_too_large"),
    ],
)
def test_a_body_that_is_no_query_is_refused(
    gateway: Gateway, content: bytes, status: int, code: str
) -> None:
    reply = post(gateway, content, {"Content-Type": "application/json"})
    refused(reply, status, code)


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(gateway: Gateway) -> None:
    def endless() -> Any:
        for _ in range(70):
            yield b" " * 1024

    gateway.get("/v1/services")  # the nonce: such a body cannot be sent a second time
    reply = post(gateway, endless(), {"Content-Type": "application/json"})
    refused(reply, 413, "body_too_large")


@pytest.mark.parametrize("media", [None, "text/plain", "application/xml", "multipart/form-data"])
def test_a_body_is_json_or_refused(gateway: Gateway, media: str | None) -> None:
    reply = post(gateway, json.dumps(COST).encode(), {"Content-Type": media} if media else {})
    refused(reply, 415, "unsupported_media_type")


def test_an_answer_nobody_accepts_is_not_made(gateway: Gateway) -> None:
    refused(gateway.ask(headers={"Accept": "text/html"}), 406, "not_acceptable")


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/v1", "/v1/services/", "/v1/services/S02/queries/", "/v1//services",
             "/%00", "/v1/services/S02/nope", "/docs", "/redoc"]
)  # fmt: skip
def test_an_unknown_address_is_a_problem_too(gateway: Gateway, path: str) -> None:
    refused(gateway.get(path), 404, "not_found")


@pytest.mark.parametrize("service", ["S99", "s02", "%00", "..%2f..%2fetc", "S02 ", "医保"])
def test_an_unknown_service_is_told_by_name_only(gateway: Gateway, service: str) -> None:
    assert gateway.ask(service).status_code == 404
    assert gateway.get(f"/v1/services/{service}").json()["code"] in {"unknown_service", "not_found"}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_refused_with_the_allowed_ones(gateway: Gateway, method: str) -> None:
    reply = gateway.http.request(method, "/v1/services/S02/queries", auth=gateway.auth())
    refused(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


def test_a_broken_request_line_is_no_failure(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.settings.port), timeout=10) as raw:
        raw.sendall(b"\x00\x01 garbage\r\n\r\n")
        assert raw.recv(64).startswith(b"HTTP/1.1 400")
    assert gateway.http.get("/healthz").json() == {"status": "ok"}


def test_a_quota_used_up_is_429_with_the_time_to_wait(
    own_gateway_with: Callable[..., Gateway],
) -> None:
    gateway = own_gateway_with(calls_day=2)
    assert [gateway.ask().status_code for _ in range(2)] == [200, 200]
    reply = gateway.ask()
    assert refused(reply, 429, "refused")["deny"] == ["D802"]
    assert 1 <= int(reply.headers["retry-after"]) <= 86_400


def test_too_many_cells_are_refused_before_any_leaves(
    own_gateway_with: Callable[..., Gateway],
) -> None:
    gateway = own_gateway_with(cells_day=100)
    assert refused(gateway.ask(), 429, "refused")["deny"] == ["D803"]
    assert gateway.ask("S02", {**COST, "dims": [], "measures": ["medfee"]}).status_code == 200


def test_who_has_used_up_the_credit_of_the_month_is_refused(
    own_gateway_with: Callable[..., Gateway],
) -> None:
    """A thousand cells begun cost 4000 fen, and so may the next answer."""
    gateway = own_gateway_with()
    few = {**COST, "dims": []}
    assert gateway.ask("S02", few).json()["meta"]["charge"]["cells_charged"] == 92
    allow_credit(gateway, 4000)
    problem = refused(gateway.ask("S02", {**few, "measures": ["medfee"]}), 403, "refused")
    assert problem["deny"] == ["D807"]
    asked = journal(gateway, problem["request_id"])["decision"]["input"]["usage"]
    assert (asked["spent_month_fen"], asked["tenant_spent_month_fen"]) == (4000, 4000)
    assert asked["estimate_fen"] == 4000
    allow_credit(gateway, 8000)
    assert gateway.ask("S02", few).status_code == 200


def allow_credit(gateway: Gateway, fen: int) -> None:
    """The bureau sets how much the organisation may owe for a month."""
    identity = gateway.app.state.identity
    with writing(identity.engine) as session:
        update_tenant(session, act(), "T-INS", TenantUpdate(credit_limit_fen=fen))
    identity.directory.refresh()
