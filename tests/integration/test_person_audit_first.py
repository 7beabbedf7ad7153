"""No answer of a person is in force without its entry in the journal, and no error is shown for one
that is: the entry is written before the commit, and both fail for real here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.journal.schema import connect_reading
from tests.consent_factory import Browser, ConsentServer, answer_of, consenting

AFTER = {"approve": "AUTHORISED", "deny": "REJECTED"}
NO_CONSENT_CHANGE = """
    CREATE TRIGGER no_consent_change BEFORE INSERT ON audit_event
    WHEN json_extract(NEW.body, '$.kind') = 'consent-change'
    BEGIN SELECT RAISE(ABORT, 'built in by the test'); END
"""
COMMIT_FAILS = """
    CREATE TABLE nobody (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES nobody (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER orphan AFTER INSERT ON consent_event BEGIN INSERT INTO child VALUES (1); END;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("home")) as opened:
        yield opened


def run(database: Path, script: str) -> None:
    with closing(sqlite3.connect(database, timeout=20)) as db:
        db.executescript(script)


@contextmanager
def broken(database: Path, script: str, undo: str) -> Iterator[None]:
    run(database, script)
    try:
        yield
    finally:
        run(database, undo)


def said_of(server: ConsentServer, consent: dict[str, str]) -> list[tuple[str, str]]:
    """Result and act of each answer to a consent that the journal knows, oldest first."""
    with closing(connect_reading(server.settings.journal)) as db:
        rows = [json.loads(body) for (body,) in db.execute("SELECT body FROM audit_event")]
    events = [each for each in rows if each.get("consent_id") == consent["consent_id"]]
    return [(each["result"], each["reason"]) for each in events]


def at_the_question(server: ConsentServer) -> tuple[dict[str, str], Browser, str]:
    """A person who has read what is asked, and the address of the page."""
    consent, browser = server.asked(), server.browser()
    browser.visit(server.push(consent), "adult")
    return consent, browser, browser.page.url.path


@pytest.mark.parametrize("decision", AFTER)
def test_an_answer_whose_entry_is_refused_is_not_in_force_and_can_be_given_again(
    server: ConsentServer, decision: str
) -> None:
    consent, browser, path = at_the_question(server)
    gone = "DROP TRIGGER no_consent_change"
    with broken(server.settings.journal, NO_CONSENT_CHANGE, gone):
        assert browser.send("consent", decision=decision).status_code >= 500
        assert server.state(consent) == "AWAITING_PERSON"
    assert said_of(server, consent) == []
    browser.open(path)
    answer_of(browser.send("consent", decision=decision))
    assert server.state(consent) == AFTER[decision]
    assert said_of(server, consent) == [("done", decision)]


@pytest.mark.parametrize("decision", AFTER)
def test_an_entry_whose_commit_fails_is_followed_by_one_that_says_so(
    server: ConsentServer, decision: str
) -> None:
    consent, browser, path = at_the_question(server)
    gone = "DROP TRIGGER orphan; DROP TABLE child; DROP TABLE nobody"
    with broken(server.settings.database, COMMIT_FAILS, gone):
        assert browser.send("consent", decision=decision).status_code >= 500
    assert server.state(consent) == "AWAITING_PERSON"
    assert said_of(server, consent) == [("done", decision), ("failed", decision)]
    browser.open(path)
    answer_of(browser.send("consent", decision=decision))
    assert server.state(consent) == AFTER[decision]
    assert said_of(server, consent)[2:] == [("done", decision)]


def test_while_the_journal_is_down_nothing_is_answered(tmp_path: Path) -> None:
    with consenting(tmp_path / "home") as server:
        asked = [at_the_question(server) for _ in AFTER]
        who = server.browser()
        who.visit(server.push(None), "adult")
        server.journal.close()
        assert who.send("consent", decision="approve").status_code == 503  # identity alone, too
        for decision, (consent, browser, _) in zip(AFTER, asked, strict=True):
            refused = browser.send("consent", decision=decision)
            assert refused.status_code == 503
            known = server.consents.read(consent["consent_id"], "T-INS")
            assert known.state == "AWAITING_PERSON"


def test_a_journal_that_is_down_keeps_nobody_from_ending_a_consent(tmp_path: Path) -> None:
    with consenting(tmp_path / "home") as server:
        consent, browser, _ = at_the_question(server)
        answer_of(browser.send("consent", decision="approve"))
        home = server.browser()
        home.open("/person/sign-in")
        home.sign_in("adult")
        token = home.http.get("/me/consents").json()["csrf_token"]
        server.journal.close()
        path = f"/me/consents/{consent['consent_id']}/revoke"
        ended = home.http.post(path, headers={"X-CSRF-Token": token})
        assert ended.status_code == 200, ended.text
        assert server.consents.read(consent["consent_id"], "T-INS").state == "REVOKED"
