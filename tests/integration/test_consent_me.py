"""`/me`: a person's own consents and who looked, as JSON and as pages."""

import pytest

from gateway.journal.entry import Entry
from tests.consent_factory import answer_of, certno, consenting


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("me") / "home") as running:
        yield running


def given(server, person="adult"):
    consent = server.asked()
    browser = server.browser()
    browser.visit(server.push(consent), person)
    answer_of(browser.send("consent", decision="approve"))
    return consent


def at_home(server, person="adult"):
    browser = server.browser()
    browser.open("/person/sign-in")
    browser.sign_in(person)
    return browser


def record_look(server, person, consent, result="refused"):
    """A person-level access as the call path records it: by pseudonym, shapes only."""
    reference = server.consents.subjects.reference(certno(person))
    stamp = server.journal.stamp(server.clock())
    audit = {
        "kind": "read",
        "result": result,
        "tenant": "T-INS",
        "service": "S19",
        "consent_id": consent["consent_id"],
        "subject": server.consents.subjects.audit_token(reference),
        "columns": [{"field": "medfee_sumamt", "item": "C06-02", "level": "L4", "mask": "none"}],
    }
    decision = {"decision_id": "d", "allow": False, "deny": ["D606"], "policy_version": "test"}
    entry = Entry(stamp.event_id, stamp.event_id, stamp.time, decision, audit, None)
    server.journal.record_now(entry)


def test_nobody_sees_anything_without_signing_in(server):
    for path in ("/me/consents", "/me/access-events"):
        reply = server.http.get(path)
        assert (reply.status_code, reply.json()["code"]) == (401, "person_signed_out")


def test_a_person_sees_their_own_consents_with_receiver_and_evidence(server):
    consent, foreign = given(server), given(server, "elder")
    listed = at_home(server).http.get("/me/consents").json()["consents"]
    mine = next(each for each in listed if each["consent_id"] == consent["consent_id"])
    assert mine["receiver"]["name"].startswith("测试健康保险")
    assert mine["evidence"]["type"] == "ehic_face"
    assert mine["evidence"]["provider"] == "simulated"
    assert foreign["consent_id"] not in [each["consent_id"] for each in listed]


def test_a_revoked_consent_kills_its_tokens(server):
    consent = server.asked()
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, "adult")
    code = answer_of(browser.send("consent", decision="approve"))["code"]
    told = server.exchange(pushed, code).json()
    home = at_home(server)
    token = home.http.get("/me/consents").json()["csrf_token"]
    home.http.post(f"/me/consents/{consent['consent_id']}/revoke", headers={"X-CSRF-Token": token})
    machine = server.machines["claims-app"]
    auth = {k: v for k, v in machine.form(server.clock()).items() if k != "grant_type"}
    form = {**auth, "grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
    refreshed = server.http.post("/oauth/token", data=form, auth=server.plain("claims-app"))
    assert refreshed.json()["code"] == "consent_revoked"
    auth = {k: v for k, v in machine.form(server.clock()).items() if k != "grant_type"}
    seen = server.http.post(
        "/oauth/introspect",
        data={**auth, "token": told["access_token"]},
        auth=server.plain("claims-app"),
    )
    assert seen.json() == {"active": False}


def test_every_look_is_shown_to_the_person_and_to_nobody_else(server):
    consent = given(server, "patient")
    record_look(server, "patient", consent)
    browser = at_home(server, "patient")
    (event,) = browser.http.get("/me/access-events").json()["access_events"]
    assert event["consent_id"] == consent["consent_id"]
    assert (event["service"], event["result"]) == ("S19", "refused")
    assert event["fields"] == ["medfee_sumamt"]
    assert "一站式理赔核验" in browser.open("/person/accesses").text
    assert at_home(server).http.get("/me/access-events").json()["access_events"] == []


def test_a_consent_shows_what_happened_to_it(server):
    consent = given(server)
    browser = at_home(server)
    page = browser.open(f"/person/consents/{consent['consent_id']}").text
    assert all(word in page for word in ("提出申请", "同意", "您本人"))
