"""`/v1/consents` over HTTP: what a receiver may ask, read and give up, and nothing of others."""

import logging
import sqlite3

import pytest

from gateway.consent.record import Consent
from sluice_client.proof import ProvenBy
from tests.consent_factory import answer_of, certno, consenting


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("consents") / "home") as running:
        yield running


def code(reply):
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    return reply.status_code, reply.json()["code"]


def test_a_request_awaits_the_person_for_fifteen_minutes(server):
    reply = server.ask()
    assert reply.status_code == 201
    made = reply.json()
    assert made["state"] == "AWAITING_PERSON"
    assert reply.headers["location"] == f"/v1/consents/{made['consent_id']}"
    assert server.read(made["consent_id"]).json() == made


def test_a_request_for_later_may_wait_three_days(server):
    made = server.asked(channel="later")
    assert made["answer_by"][:10] > made["created_at"][:10]


def test_the_same_key_and_body_make_one_consent(server):
    first, again = server.ask(key="key-number-1"), server.ask(key="key-number-1")
    assert (again.status_code, again.json()) == (201, first.json())


def test_the_same_key_with_another_body_is_a_conflict(server):
    server.ask(key="key-number-2")
    assert code(server.ask(key="key-number-2", uses_max=2)) == (409, "idempotency_conflict")


def test_the_same_key_with_another_certificate_number_is_a_conflict(server):
    server.ask(key="key-number-3", subject={"certno": certno("adult")})
    other = server.ask(key="key-number-3", subject={"certno": certno("elder")})
    assert code(other) == (409, "idempotency_conflict")


def test_another_client_may_use_the_same_key(server):
    first = server.ask(key="key-number-4")
    other = server.ask("claims2-app", key="key-number-4")
    assert first.json()["consent_id"] != other.json()["consent_id"]


def test_a_key_is_required(server):
    reply = server.http.post("/v1/consents", json=server.wanted(), auth=server.auth())
    assert code(reply) == (400, "invalid_parameter")
    assert "idempotency-key" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"scenario": "SC01"}, (400, "consent_not_needed")),
        ({"scenario": "SC04", "purpose": "synchronous_settlement"}, (403, "D201")),
        ({"grant_id": "G-T-INS2"}, (403, "D201")),
        ({"purpose": "marketing"}, (403, "D301")),
        ({"services": ["S19", "S20"]}, (403, "D401")),
        ({"services": ["S22"]}, (403, "D401")),
        ({"scopes": ["SETL", "SELF"]}, (403, "D603")),
        ({"claim_ref": None}, (403, "D609")),
        ({"valid_days": 91}, (400, "invalid_parameter")),
        ({"uses_max": 6}, (400, "invalid_parameter")),
        ({"window": {"from": "2019-01-01", "to": "2019-02-01"}}, (400, "invalid_parameter")),
        ({"scopes": []}, (400, "invalid_parameter")),
        ({"k_person": 1}, (400, "invalid_parameter")),
        ({"subject": {"certno": "1"}}, (400, "invalid_parameter")),
        ({"subject": {"certno": "99010119850312\ud800"}}, (400, "invalid_parameter")),
        ({"grant_id": "\ud800"}, (400, "invalid_parameter")),
    ],
)
def test_what_scenario_and_grant_do_not_allow_cannot_be_asked(server, changed, told):
    assert code(server.ask(**changed)) == told


def test_a_window_that_runs_backwards_is_refused(server):
    today = str(server.clock().date())
    reply = server.ask(window={"from": today, "to": "2026-01-01"})
    assert code(reply) == (400, "invalid_parameter")


def test_another_organisations_consent_is_answered_like_none(server):
    made = server.asked()
    foreign = server.read(made["consent_id"], "claims2-app")
    none = server.read("c-00000000-0000-7000-8000-000000000000", "claims2-app")
    bodies = [{k: v for k, v in r.json().items() if k != "request_id"} for r in (foreign, none)]
    assert code(foreign) == (404, "unknown_consent")
    assert bodies[0] == bodies[1]
    path = f"/v1/consents/{made['consent_id']}"
    assert code(server.http.delete(path, auth=server.auth("claims2-app")))[0] == 404
    assert server.state(made) == "AWAITING_PERSON"


def test_a_list_holds_ones_own_consents_page_by_page(server):
    wanted = {server.asked()["consent_id"] for _ in range(3)}
    auth, seen, after = server.auth(), [], ""
    while after is not None:
        page = server.http.get(f"/v1/consents?limit=2&after={after}", auth=auth).json()
        seen += [each["consent_id"] for each in page["consents"]]
        after = page["next_after"]
    assert wanted <= set(seen)
    assert len(seen) == len(set(seen))
    other = server.http.get("/v1/consents", auth=server.auth("claims2-app")).json()
    assert not wanted & {each["consent_id"] for each in other["consents"]}


def test_a_request_can_be_withdrawn(server):
    made = server.asked()
    path = f"/v1/consents/{made['consent_id']}"
    for _ in range(2):
        assert server.http.delete(path, auth=server.auth()).status_code == 204
    assert server.state(made) == "REJECTED"
    rejected = server.http.get("/v1/consents?state=REJECTED", auth=server.auth()).json()
    assert made["consent_id"] in [each["consent_id"] for each in rejected["consents"]]


def test_without_a_token_nothing_is_told(server):
    made = server.asked()
    for path in ("/v1/consents", f"/v1/consents/{made['consent_id']}", "/v1/events/stream"):
        assert server.http.get(path).status_code == 401
    assert server.http.post("/v1/consents", json=server.wanted()).status_code == 401
    assert server.http.post("/v1/events/poll", json={}).status_code == 401


def test_a_persons_token_cannot_ask_for_consents(server):
    made = server.asked()
    pushed, browser = server.push(made), server.browser()
    browser.visit(pushed, "adult")
    given = answer_of(browser.send("consent", decision="approve"))
    token = server.exchange(pushed, given["code"]).json()["access_token"]
    proven = ProvenBy(server.machines["claims-app"].key, server.clock, token)
    reply = server.http.get("/v1/consents", auth=proven)
    assert code(reply) == (403, "machine_token_needed")


def test_a_certificate_number_is_neither_stored_nor_logged(server, caplog):
    number = certno("patient")
    with caplog.at_level(logging.DEBUG):
        server.asked(subject={"certno": number})
        server.ask(subject={"certno": number}, uses_max=99)
    assert number not in caplog.text
    for name in ("sluice.db", "journal.db"):
        with sqlite3.connect(server.settings.home / name) as db:
            assert not any(number in line for line in db.iterdump())


def test_the_receiver_never_sees_who_the_person_is(server):
    made = server.asked(subject={"certno": certno("adult")})
    shown = server.read(made["consent_id"]).json()
    hidden = {"subject_ref", "subject_hint", "guardian", "evidence", "prev_hash"}
    assert hidden <= set(Consent.__dataclass_fields__)
    assert not hidden & set(shown)
