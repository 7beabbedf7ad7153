"""Tokens and failures are in the audit journal before the answer leaves; no journal, no token."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.api.oauth_audit import OAuthAudit
from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.sqlite import SqliteJournal
from tests.oauth_factory import RelyingParty, ask_consent, relying


@pytest.fixture
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield running


def events(party: RelyingParty) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(party.server.settings.journal)) as database:
        rows = database.execute("SELECT body FROM audit_event ORDER BY seq")
        return [json.loads(body) for (body,) in rows]


def test_every_token_is_in_the_audit_with_its_client_and_its_authorisation(
    party: RelyingParty,
) -> None:
    consent = ask_consent(party.server)
    body = party.tokens_for(consent)
    party.refresh(body["refresh_token"])
    party.post("/oauth/revoke", {"token": body["access_token"]})
    said = [(each["kind"], each["result"], each["reason"]) for each in events(party)]
    issued = [each for each in events(party) if each["reason"] == "token_issued"]

    assert said == [
        ("login", "done", "request_pushed"),
        ("login", "done", "token_issued"),
        ("login", "done", "token_issued"),
        ("login", "done", "token_revoked"),
    ]
    assert {each["consent_id"] for each in issued} == {consent.id}
    assert [each["grant_type"] for each in issued] == ["authorization_code", "refresh_token"]
    assert issued[0]["actor"] == {"client": "claims-app", "ip": "127.0.0.1"}
    assert issued[0]["tenant"] == "T-INS"


def test_the_audit_holds_no_secret_and_no_person(party: RelyingParty) -> None:
    body = party.tokens()
    written = json.dumps(events(party))

    for secret in (body["access_token"], body["refresh_token"], "subject-token"):
        assert secret not in written


def test_failures_are_recorded_many_alike_as_one(party: RelyingParty) -> None:
    for _ in range(5):
        party.post("/oauth/token", {"grant_type": "authorization_code", "code": "invented"})
    failed = [each for each in events(party) if each["result"] == "failed"]

    assert [(each["reason"], each["count"]) for each in failed] == [("code_unknown", 1)]


def test_asking_for_a_nonce_is_no_failure(party: RelyingParty) -> None:
    party.server.token(party.machine)

    assert [each["result"] for each in events(party)] == ["done"]


def test_without_the_journal_no_token_leaves(party: RelyingParty, tmp_path: Path) -> None:
    settings = party.server.settings
    broken = SqliteJournal.open(tmp_path / "journal.db", settings.keys, party.server.clock())
    broken.close()
    party.server.app.state.oauth_audit = OAuthAudit(broken)
    reply = party.server.post(party.machine.form(party.server.clock()))

    assert reply.status_code == 503
    assert "access_token" not in reply.text
    assert reply.headers["retry-after"]


def test_the_journal_with_oauth_events_verifies(party: RelyingParty) -> None:
    party.tokens()
    settings = party.server.settings
    verdict = verify(settings.journal, public_key(settings.keys / PUBLIC_KEY))

    assert verdict.events == 2
    assert not verdict.findings
