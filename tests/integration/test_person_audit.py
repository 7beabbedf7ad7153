"""Persons' sign-ins and answers in the audit journal: chained, by pseudonym, before the page."""

import json
import sqlite3
from contextlib import closing

import pytest

from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from tests.consent_factory import Browser, ConsentServer, answer_of, certno, consenting


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("home")) as opened:
        yield opened


def events(server: ConsentServer, *kinds: str) -> list[dict]:
    """The journal's events of these kinds, oldest first."""
    with closing(connect_reading(server.settings.journal)) as db:
        rows = db.execute("SELECT body FROM audit_event ORDER BY seq")
        return [body for (text,) in rows if (body := json.loads(text))["kind"] in kinds]


def person_events(server: ConsentServer) -> list[dict]:
    found = events(server, "login", "consent-change")
    return [each for each in found if "person" in each.get("actor", {})]


def visiting(server: ConsentServer, person: str, **asked) -> tuple[dict, Browser]:
    """Somebody at the pages of a consent."""
    consent, browser = server.asked(**asked), server.browser()
    browser.visit(server.push(consent), person)
    return consent, browser


def pseudonym(server: ConsentServer, person: str) -> str:
    subjects = server.consents.subjects
    return subjects.audit_token(subjects.reference(certno(person)))


def test_a_sign_in_and_a_yes_are_recorded_under_the_journals_pseudonym(server):
    consent, browser = visiting(server, "adult")
    answer_of(browser.send("consent", decision="approve"))
    came, said = person_events(server)[-2:]
    assert (came["kind"], came["result"], came["evidence"]) == ("login", "done", "ehic_face")
    assert (said["kind"], said["reason"]) == ("consent-change", "approve")
    assert said["consent_id"] == consent["consent_id"]
    assert {came["actor"]["person"], said["actor"]["person"]} == {pseudonym(server, "adult")}
    assert came["tenant"] == said["tenant"] == "T-INS"


def test_a_no_is_recorded(server):
    consent, browser = visiting(server, "adult")
    answer_of(browser.send("consent", decision="deny"))
    said = person_events(server)[-1]
    assert (said["reason"], said["consent_id"]) == ("deny", consent["consent_id"])


@pytest.mark.parametrize("by", ["page", "api"])
def test_an_end_is_recorded_however_it_is_made(server, by):
    consent, browser = visiting(server, "adult")
    answer_of(browser.send("consent", decision="approve"))
    browser.open("/person/sign-in")
    browser.sign_in("adult")
    assert person_events(server)[-1]["reason"] == "person_sign_in"
    if by == "page":
        browser.open(f"/person/consents/{consent['consent_id']}/end")
        browser.send(browser.page.url.path)
    else:
        token = browser.http.get("/me/consents").json()["csrf_token"]
        path = f"/me/consents/{consent['consent_id']}/revoke"
        assert browser.http.post(path, headers={"X-CSRF-Token": token}).status_code == 200
    said = person_events(server)[-1]
    assert (said["reason"], said["consent_id"]) == ("revoke", consent["consent_id"])
    assert server.state(consent) == "REVOKED"


def test_somebody_the_request_does_not_mean_is_recorded_as_refused(server):
    consent, _ = visiting(server, "adult", subject={"certno": certno("parent")})
    said = person_events(server)[-1]
    assert (said["result"], said["reason"]) == ("refused", "person_not_meant")
    assert said["consent_id"] == consent["consent_id"]


def test_a_guardian_is_named_as_one(server):
    _, browser = visiting(server, "parent", subject={"certno": certno("child")})
    browser.send("guardian")
    answer_of(browser.send("consent", decision="approve"))
    said = person_events(server)[-1]
    assert (said["reason"], said["guardian"]) == ("approve", True)
    assert said["actor"]["person"] == pseudonym(server, "parent")


def test_no_certificate_number_name_or_reference_stands_in_the_journal(server):
    _, browser = visiting(server, "adult")
    answer_of(browser.send("consent", decision="approve"))
    text = json.dumps(person_events(server), ensure_ascii=False)
    reference = server.consents.subjects.reference(certno("adult"))
    for never in (certno("adult"), reference, "测试"):
        assert never not in text


def test_own_sign_ins_are_no_looks_at_the_record(server):
    browser = server.browser()
    browser.open("/person/sign-in")
    browser.sign_in("adult")
    assert browser.http.get("/me/access-events").json() == {"access_events": []}


def test_what_cannot_be_recorded_lets_nobody_in(tmp_path):
    with consenting(tmp_path / "home") as server:
        browser = server.browser()
        browser.open("/person/sign-in")
        server.journal.close()
        assert browser.sign_in("adult").status_code == 503
        assert browser.http.get("/me/consents").status_code == 401


def test_a_sign_in_that_is_removed_from_the_journal_is_noticed(tmp_path):
    with consenting(tmp_path / "home") as server:
        for _ in range(3):
            browser = server.browser()
            browser.open("/person/sign-in")
            browser.sign_in("adult")
        settings = server.settings
    key = public_key(settings.keys / PUBLIC_KEY)
    assert not verify(settings.journal, key).findings
    with closing(sqlite3.connect(settings.journal)) as db:
        for trigger in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.execute(f"DROP TRIGGER {trigger[0]}")
        db.execute("DELETE FROM audit_event WHERE seq = 2")
        db.commit()
    assert verify(settings.journal, key).findings
