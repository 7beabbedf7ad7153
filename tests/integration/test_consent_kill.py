"""kill -9 while people approve and revoke: no consent in two states, no yes without its code, and
no live token after a revocation that was acknowledged.

The harness and what it can notice are those of `test_journal_kill`.
"""

import json
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from gateway.consent import changes
from gateway.consent.asking import Receiver, Wanted
from gateway.consent.chain import broken, history
from gateway.consent.changes import Answer
from gateway.consent.record import Evidence
from gateway.db.consent_tables import ConsentRow, EventOutboxRow
from gateway.db.engine import open_engine, reading, sqlite_url, writing
from gateway.db.oauth_tables import AuthorisationRow, CodeRow
from gateway.identity.revocation import revoked_in
from tests.consent_factory import certno, consenting
from tests.crash_harness import Target, crash, free_port
from tests.nursery import nursery

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKEN = re.compile(r'name="form" value="(\w+)"')
HASH = re.compile(r'name="hash" value="(\w+)"')
CALLBACK = "http://127.0.0.1:1/callback"
EVERY = 6
"""One request in so many approves, the others revoke."""


@dataclass
class People:
    """What they are about to send: forms on the consent screen, and consents to end."""

    home: object
    approvals: list = field(default_factory=list)
    revocations: list = field(default_factory=list)

    def consent(self, name):
        """The consent a request is about, and whether it approves it."""
        number = int(name.removeprefix("r-"))
        listed = self.approvals if number % EVERY == 0 else self.revocations
        place = number // EVERY if number % EVERY == 0 else number - number // EVERY
        return (listed[place] if place < len(listed) else None), number % EVERY == 0

    def ask(self, connection, name):
        """Send one form; a visit that is over was approved before, and must be stored so."""
        sent, approves = self.consent(name)
        if sent is None:
            return False
        path, body, headers = sent[1:]
        connection.request("POST", path, body, headers)
        reply = connection.getresponse()
        reply.read()
        if approves and reply.status == 303:
            return reply.headers["location"].startswith(CALLBACK)
        assert reply.status == (404 if approves else 200), (name, reply.status)
        return True


def prepare(home, port, approvals, revocations):
    """Visits that stand on the consent screen, and consents in force, made by a first server."""
    people = People(home)
    with consenting(home, port, redirect_uri=CALLBACK) as server:
        for _ in range(approvals):
            people.approvals.append(approval(server))
        home_browser = server.browser()
        home_browser.open("/person/sign-in")
        home_browser.sign_in("adult")
        token = home_browser.http.get("/me/consents").json()["csrf_token"]
        headers = {"X-CSRF-Token": token, "Cookie": cookies(home_browser)}
        for _ in range(revocations):
            consent = in_force(server)
            people.revocations.append((consent, f"/me/consents/{consent}/revoke", b"", headers))
    return people


def approval(server):
    consent, browser = server.asked()["consent_id"], server.browser()
    browser.visit(server.push(server.read(consent).json()), "adult")
    form = {
        "form": TOKEN.search(browser.page.text)[1],
        "hash": HASH.search(browser.page.text)[1],
        "decision": "approve",
    }
    headers = {**FORM, "Cookie": cookies(browser)}
    return consent, f"{browser.page.url.path}/consent", urlencode(form), headers


def cookies(browser):
    return "; ".join(f"{each.name}={each.value}" for each in browser.http.cookies.jar)


def in_force(server):
    now, who = server.clock(), Receiver("T-INS", "claims-app")
    wanted = Wanted.model_validate_json(json.dumps(server.wanted()))
    consent = server.consents.ask(wanted, who, secrets.token_hex(8), now).id
    subject = server.consents.subjects.reference(certno("adult"))
    evidence = Evidence("ehic_face", "simulated", "0" * 64, now)
    with writing(server.identity.engine) as session:
        given = Answer(subject, ("SETL",), "zh", "test", "0" * 64, evidence)
        changes.authorise(session, consent, given, now)
    return consent


class Book:
    """The database between two lives of the server."""

    def __init__(self, home, people):
        self.url, self.people = sqlite_url(home / "sluice.db"), people
        self.wrong = []

    def stored(self):
        """Every request whose effect is there; notes whatever is there only in part."""
        engine = open_engine(self.url)
        try:
            with reading(engine) as session:
                self.wrong += [*broken(session), *self._halves(session)]
                states = dict(session.execute(sa.select(ConsentRow.id, ConsentRow.state)).all())
        finally:
            engine.dispose()
        done = Counter()
        for number in range(1, 2000):
            sent, approves = self.people.consent(f"r-{number:07d}")
            if sent and states[sent[0]] == ("AUTHORISED" if approves else "REVOKED"):
                done[f"r-{number:07d}"] += 1
        return done

    def _halves(self, session):
        """A yes without its code, a code without its yes, an end without its revocation."""
        given = sa.select(AuthorisationRow.consent_id).join(
            CodeRow, CodeRow.authorisation_id == AuthorisationRow.id
        )
        coded = Counter(session.scalars(given))
        for sent in self.people.approvals:
            state = session.get(ConsentRow, sent[0]).state
            if coded[sent[0]] != (state == "AUTHORISED"):
                yield f"{sent[0]} is {state} with {coded[sent[0]]} codes"
        told = Counter(
            row.claims["txn"]
            for row in session.scalars(sa.select(EventOutboxRow))
            if "urn:sluice:event:consent:revoked" in row.claims["events"]
        )
        for sent in self.people.revocations:
            ended = session.get(ConsentRow, sent[0]).state == "REVOKED"
            dead = revoked_in(session, token_id="t", client_id="c", consent_id=sent[0])
            if not (ended == dead == bool(told[sent[0]])) or told[sent[0]] > 1:
                yield f"{sent[0]} is ended in part: {ended}, {dead}, {told[sent[0]]}"
            if sum(each.act == "revoke" for each in history(session, sent[0])) > 1:
                yield f"{sent[0]} was ended twice"


def killed(home, kills, approvals, revocations, mistake=""):
    port = free_port()
    people = prepare(home, port, approvals, revocations)
    book = Book(home, people)
    command = ["tests.consent_server", str(home), str(port), mistake]
    with nursery("tests.consent_server") as started:
        log, start = home / "server.log", started.start
        target = Target(
            command, port, people.ask, book.stored, log, window=1.5, warm=True, launch=start
        )
        seed = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
        report = crash(target, kills=kills, seed=seed)
    return report, book.wrong


def assert_kept(report, wrong, kills, least):
    assert report.kept_its_word, (report.lost, report.doubled, report.broken)
    assert wrong == []
    assert report.kills == kills
    assert len(report.acknowledged) > least


def test_three_kills_leave_no_consent_half_given_or_half_ended(tmp_path):
    assert_kept(*killed(tmp_path / "home", 3, 4, 50), 3, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_forty_kills_leave_no_consent_half_given_or_half_ended(tmp_path):
    assert_kept(*killed(tmp_path / "home", 40, 80, 600), 40, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "seen"), [("forget-tokens", "ended in part"), ("two-steps", "with 0 codes")]
)
def test_a_planted_mistake_is_noticed(tmp_path, mistake, seen):
    _, wrong = killed(tmp_path / "home", 8, 40, 60, mistake)
    assert any(seen in each for each in wrong)
