"""What the audit trail tells those it concerns, and that it tells them nothing of others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.audit.views import own_calls
from gateway.db.office_journal import Sought
from gateway.journal.entry import Entry
from gateway.journal.looking import one
from gateway.serving.refusals import shown
from tests.gateway_factory import COST, Gateway
from tests.journal_factory import NOON, answered, event_id, opened, refused

PROVIDER, READER = "T-PROVIDER", "provider-app"


@pytest.fixture(scope="module")
def asked(gateway: Gateway) -> Gateway:
    """A gateway with calls of several organisations, one under a grant that names a provider."""
    gateway.admit(READER, PROVIDER, "insurer", "SC01")
    gateway.admit("user-app", "T-USER", "insurer", "SC01", providers=(PROVIDER,))
    for client in ("user-app", "ins-app", "ins2-app"):
        assert gateway.ask("S02", COST, client=client).status_code == 200
    assert gateway.ask("S02", {**COST, "geo": ["999999"]}, client="ins-app").status_code >= 400
    return gateway


def entries(gateway: Gateway, path: str, client: str) -> list[dict[str, Any]]:
    answer = gateway.get(path, client)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


def test_an_organisation_sees_its_own_calls_and_no_others(asked: Gateway) -> None:
    calls = {}
    for client in ("ins-app", "ins2-app"):
        reply = asked.ask("S02", COST, client=client)
        calls[client] = reply.headers["sluice-request-id"]
    mine = entries(asked, "/v1/audit/calls?kind=read&limit=500", "ins-app")
    seen = {one["request_id"] for one in mine}
    assert calls["ins-app"] in seen
    assert calls["ins2-app"] not in seen
    assert {one["actor"]["tenant"] for one in mine} == {"T-INS"}
    answer = next(one for one in mine if one["request_id"] == calls["ins-app"])
    assert (answer["result"], answer["grant"]) == ("answered", "G-T-INS")
    assert answer["hash"]
    assert answer["latency_ms"] >= 0


def test_the_tenant_is_the_tokens_and_cannot_be_asked_for(asked: Gateway) -> None:
    for path in ("calls", "uses"):
        answer = asked.get(f"/v1/audit/{path}?tenant=T-INS2", "ins-app")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
        assert asked.http.get(f"/v1/audit/{path}").status_code == 401


def test_a_provider_sees_who_used_its_data_and_only_that(asked: Gateway) -> None:
    uses = entries(asked, "/v1/audit/uses", READER)
    assert {(one["receiver"], one["grant"]) for one in uses} == {("T-USER", "G-T-USER")}
    assert (uses[0]["result"], uses[0]["service"]) == ("answered", "S02")
    assert not {"actor", "consent_id", "subject_token", "request_id"} & uses[0].keys()
    assert entries(asked, "/v1/audit/uses", "ins-app") == []


def test_pages_follow_by_key(asked: Gateway) -> None:
    whole = entries(asked, "/v1/audit/calls?limit=500&until=2025-06-02T13:00:00Z", "ins-app")
    first = asked.get("/v1/audit/calls?limit=1&until=2025-06-02T13:00:00Z", "ins-app").json()
    second = asked.get(f"/v1/audit/calls?limit=1&after={first['next']}", "ins-app").json()
    assert [*first["entries"], *second["entries"]] == whole[:2]


def test_reading_is_in_the_trail(asked: Gateway) -> None:
    entries(asked, "/v1/audit/calls?limit=2", "ins2-app")
    with asked.app.state.identity.engine.connect() as connection:
        query = "SELECT body FROM office_event WHERE tenant = 'T-INS2' ORDER BY seq DESC LIMIT 1"
        told = json.loads(connection.exec_driver_sql(query).scalar_one())
    assert (told["kind"], told["target"]["id"], told["query_shape"]) == (
        "read",
        "calls",
        {"limit": "2"},
    )
    assert told["actor"]["client"] == "ins2-app"


def test_nothing_of_persons_or_of_detection_is_told(tmp_path: Any) -> None:
    """Neither who signed in for an organisation, nor alarms about it, nor codes about consents."""
    journal = opened(tmp_path)
    refusal = refused(2)
    secretive: list[Entry] = [
        answered(1),
        replace(
            refusal,
            audit={
                **refusal.audit,
                "subject": f"a{'1' * 40}",
                "deny_codes": ["D605", "D607"],
                "locked": True,
                "actor": {"client": "app", "ip": "192.0.2.1"},
            },
        ),
        outside(3, {"kind": "login", "actor": {"person": f"a{'2' * 40}", "ip": "203.0.113.9"}}),
        outside(4, {"kind": "alarm", "actor": {"client": "alarm"}, "alarm": {"threshold": 7}}),
    ]
    for entry in secretive:
        journal.record_now(entry)
    journal.close()
    looking = one(tmp_path / "journal.db")
    told, key = own_calls(
        looking, "t-life", Sought(), 50, lambda _, codes: list(shown(tuple(codes), "person"))
    )
    assert key is None
    assert [each["deny_codes"] for each in told] == [["D6xx"]]
    assert not {"a" + "1" * 40, "a" + "2" * 40, "203.0.113.9", "threshold", "locked"} & set(
        json.dumps(told).replace('"', " ").split()
    )


def outside(number: int, audit: dict[str, object]) -> Entry:
    """An event that is no call."""
    said = {"result": "done", "tenant": "t-life", **audit}
    return Entry(f"r{number}", event_id(number), NOON, None, said, None)
