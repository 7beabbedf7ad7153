"""FAPI 2.0 Security Profile, after the code: refresh, revocation, introspection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.consent import changes
from gateway.consent.changes import Deed
from gateway.consent.record import Actor, Consent
from gateway.db.engine import writing
from gateway.identity.changes import disable_client
from gateway.identity.jose import parse_compact
from sluice_client.proof import ProvenBy
from tests.factories_identity import act, new_key
from tests.oauth_factory import RelyingParty, ask_consent, register, relying, revoke_consent


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield running


def stranger(party: RelyingParty) -> ProvenBy:
    return ProvenBy(new_key(), party.server.clock)


def suspend(party: RelyingParty, consent: Consent) -> None:
    deed = Deed(Actor("bureau", "officer"), party.server.clock(), "test")
    with writing(party.server.identity.engine) as session:
        changes.suspend(session, consent.id, deed)


def test_clause_06_the_refresh_token_stays_the_same_and_stays_good(party: RelyingParty) -> None:
    held = party.tokens()["refresh_token"]
    first, second = party.refresh(held), party.refresh(held)

    assert first.status_code == second.status_code == 200
    assert "refresh_token" not in first.json()
    assert first.json()["access_token"] != second.json()["access_token"]
    assert party.introspect(first.json()["access_token"])["active"] is True


def test_a_refreshed_token_is_the_same_persons_and_the_same_keys(party: RelyingParty) -> None:
    body = party.tokens()
    old = parse_compact(body["access_token"]).claims
    new = parse_compact(party.refresh(body["refresh_token"]).json()["access_token"]).claims

    same = ("sub", "client_id", "tenant", "gid", "cnf", "aud", "iss", "env")
    assert {name: old[name] for name in same} == {name: new[name] for name in same}
    assert old["jti"] != new["jti"]


def test_refresh_by_another_key_is_refused_and_harms_nothing(party: RelyingParty) -> None:
    held = party.tokens()["refresh_token"]
    stolen = party.refresh(held, auth=stranger(party))

    assert (stolen.status_code, stolen.json()["code"]) == (400, "refresh_binding")
    assert party.refresh(held).status_code == 200


def test_refresh_by_another_client_is_refused(party: RelyingParty) -> None:
    thief = register(party.server, "thief-app", "T-INS2")
    reply = thief.refresh(party.tokens()["refresh_token"])

    assert (reply.status_code, reply.json()["code"]) == (400, "refresh_unknown")


def test_a_client_without_the_refresh_grant_gets_no_refresh_token(party: RelyingParty) -> None:
    single = register(party.server, "once-app", grant_types=("authorization_code",))
    body = single.tokens()

    assert "refresh_token" not in body
    reply = single.refresh("x" * 43)
    assert (reply.status_code, reply.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 9000, "中文"])
def test_an_invented_refresh_token_is_unknown(party: RelyingParty, text: str) -> None:
    assert party.refresh(text).status_code == 400


def test_a_refresh_token_lives_as_long_as_its_consent(party: RelyingParty) -> None:
    consent = ask_consent(party.server, valid_days=3)
    body = party.tokens_for(consent)
    ends = party.introspect(body["refresh_token"])["exp"]
    assert ends == body["consent_expires_at"]

    party.server.clock.shift = timedelta(days=3, seconds=5)
    try:
        reply = party.refresh(body["refresh_token"])
        known = party.introspect(body["refresh_token"])
    finally:
        party.server.clock.shift = timedelta()
    assert (reply.status_code, reply.json()["code"]) == (400, "refresh_expired")
    assert known == {"active": False}


def test_no_access_token_outlives_its_consent(party: RelyingParty) -> None:
    consent = ask_consent(party.server, valid_days=3)
    body = party.tokens_for(consent)
    party.server.clock.shift = timedelta(days=3) - timedelta(seconds=60)
    try:
        late = party.refresh(body["refresh_token"]).json()
    finally:
        party.server.clock.shift = timedelta()

    assert 0 < late["expires_in"] <= 60
    assert parse_compact(late["access_token"]).claims["exp"] == body["consent_expires_at"]


def test_a_revoked_consent_ends_refresh_and_every_token(party: RelyingParty) -> None:
    consent = ask_consent(party.server)
    body = party.tokens_for(consent)
    revoke_consent(party.server, consent)

    reply = party.refresh(body["refresh_token"])
    assert (reply.status_code, reply.json()["code"]) == (400, "consent_revoked")
    assert party.introspect(body["access_token"]) == {"active": False}
    assert party.introspect(body["refresh_token"]) == {"active": False}


def test_a_suspended_consent_says_so_and_comes_back(party: RelyingParty) -> None:
    consent = ask_consent(party.server)
    body = party.tokens_for(consent)
    suspend(party, consent)
    halted = party.refresh(body["refresh_token"])
    deed = Deed(Actor("bureau", "officer"), party.server.clock(), "test")
    with writing(party.server.identity.engine) as session:
        changes.resume(session, consent.id, deed)

    assert (halted.status_code, halted.json()["code"]) == (400, "consent_suspended")
    assert party.refresh(body["refresh_token"]).status_code == 200


def test_a_disabled_clients_refresh_is_refused_like_a_strangers(party: RelyingParty) -> None:
    gone = register(party.server, "gone-app")
    held = gone.tokens()["refresh_token"]
    with writing(party.server.identity.engine) as session:
        disable_client(session, act(), "gone-app")
    party.server.identity.directory.refresh()

    assert gone.refresh(held).json()["code"] == "client_refused"


def test_revoking_an_access_token_ends_that_token_alone(party: RelyingParty) -> None:
    body = party.tokens()
    reply = party.post("/oauth/revoke", {"token": body["access_token"]})

    assert (reply.status_code, reply.json()) == (200, {})
    assert party.introspect(body["access_token"]) == {"active": False}
    assert party.refresh(body["refresh_token"]).status_code == 200


def test_revoking_a_refresh_token_ends_the_authorisation(party: RelyingParty) -> None:
    body = party.tokens()
    form = {"token": body["refresh_token"], "token_type_hint": "refresh_token"}

    assert party.post("/oauth/revoke", form).status_code == 200
    assert party.introspect(body["access_token"]) == {"active": False}
    assert party.refresh(body["refresh_token"]).json()["code"] == "authorisation_ended"


def test_nobody_revokes_or_reads_a_token_of_another(party: RelyingParty) -> None:
    other = register(party.server, "curious-app", "T-INS2")
    body = party.tokens()
    for name in ("access_token", "refresh_token"):
        assert other.introspect(body[name]) == {"active": False}
        reply = other.post("/oauth/revoke", {"token": body[name]})
        assert reply.json()["error"] == "invalid_grant"
        assert party.introspect(body[name])["active"] is True


@pytest.mark.parametrize("token", ["x", "x.y.z", "e30.e30.e30", "x" * 9000, "中文"])
def test_revoking_what_is_no_token_changes_nothing(party: RelyingParty, token: str) -> None:
    assert party.post("/oauth/revoke", {"token": token}).status_code == 200
    assert party.introspect(token) == {"active": False}


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
def test_the_form_names_a_token_and_a_known_kind(party: RelyingParty, path: str) -> None:
    without = party.post(path, {})
    odd = party.post(path, {"token": "x", "token_type_hint": "id_token"})

    assert (without.status_code, without.json()["error"]) == (400, "invalid_request")
    assert (odd.status_code, odd.json()["error"]) == (400, "unsupported_token_type")


def test_introspection_states_the_binding_and_nothing_of_the_person(party: RelyingParty) -> None:
    body = party.tokens()
    known = party.introspect(body["access_token"])

    assert known["active"] is True
    assert known["cnf"] == {"jkt": party.key.thumbprint()}
    assert known["token_type"] == "DPoP"
    assert known["client_id"] == party.machine.client_id
    assert "subject-token" not in str(known)


def test_an_expired_token_is_not_active(party: RelyingParty) -> None:
    body = party.tokens()
    party.server.clock.shift = timedelta(seconds=301)
    try:
        assert party.introspect(body["access_token"]) == {"active": False}
    finally:
        party.server.clock.shift = timedelta()


def test_two_clients_know_the_same_person_by_different_names(party: RelyingParty) -> None:
    other = register(party.server, "second-app")
    names = [parse_compact(each.tokens()["access_token"]).claims["sub"] for each in (party, other)]

    assert names[0] != names[1]
    assert names[0] == parse_compact(party.tokens()["access_token"]).claims["sub"]
