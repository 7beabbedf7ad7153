"""FAPI 2.0 Security Profile, codes: one minute, one use, one client, one key, one verifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from sluice_client.proof import ProvenBy
from tests.factories_identity import new_key
from tests.oauth_factory import (
    RelyingParty,
    ask_consent,
    consent_now,
    details,
    query_of,
    register,
    relying,
    revoke_consent,
)


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield running


def verdict(reply: httpx.Response) -> tuple[int, str]:
    if reply.is_success:
        return reply.status_code, ""
    assert "access_token" not in reply.json()
    return reply.status_code, str(reply.json()["code"])


def test_clause_07_a_code_is_good_for_a_minute(party: RelyingParty) -> None:
    answered, verifier = party.authorised()
    party.server.clock.shift = timedelta(seconds=61)
    try:
        late = party.exchange(answered["code"], verifier)
    finally:
        party.server.clock.shift = timedelta()

    assert verdict(late) == (400, "code_expired")


def test_clause_07_a_replayed_code_is_refused_and_ends_what_it_gave(party: RelyingParty) -> None:
    answered, verifier = party.authorised()
    body = party.exchange(answered["code"], verifier).json()
    assert party.introspect(body["access_token"])["active"] is True

    assert verdict(party.exchange(answered["code"], verifier)) == (400, "code_replayed")
    assert party.introspect(body["access_token"]) == {"active": False}
    assert party.introspect(body["refresh_token"]) == {"active": False}
    assert verdict(party.refresh(body["refresh_token"])) == (400, "authorisation_ended")


def test_of_fifty_exchanges_at_once_exactly_one_gets_tokens(party: RelyingParty) -> None:
    answered, verifier = party.authorised()
    party.tokens()  # so that the proofs' nonce is known and all fifty arrive at once

    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: party.exchange(answered["code"], verifier), range(50)))

    assert Counter(map(verdict, replies)) == {(200, ""): 1, (400, "code_replayed"): 49}
    won = next(reply for reply in replies if reply.is_success)
    assert party.introspect(won.json()["access_token"]) == {"active": False}


def test_a_code_injected_into_another_session_meets_the_wrong_verifier(
    party: RelyingParty,
) -> None:
    stolen, own = party.authorised(), party.authorised()

    injected = party.exchange(stolen[0]["code"], own[1])

    assert verdict(injected)[0] == 400
    assert injected.json()["error"] == "invalid_grant"
    # The stolen code is burnt: not even its owner's verifier opens it now.
    assert verdict(party.exchange(*stolen_pair(stolen))) == (400, "code_replayed")


def stolen_pair(stolen: tuple[dict[str, str], str]) -> tuple[str, str]:
    return stolen[0]["code"], stolen[1]


@pytest.mark.parametrize("verifier", [None, "", "short", "v" * 129, "v" * 42 + "!"])
def test_clause_11_without_the_verifier_there_are_no_tokens(
    party: RelyingParty, verifier: str | None
) -> None:
    answered, _ = party.authorised()

    assert party.exchange(answered["code"], verifier).status_code == 400


def test_clause_11_the_challenge_itself_is_no_verifier(party: RelyingParty) -> None:
    sent = party.push()
    code = query_of(party.decide(party.visit(sent.request_uri)))["code"]
    challenge = party.parameters(sent.verifier)["code_challenge"]

    assert party.exchange(code, challenge).json()["error"] == "invalid_grant"


def test_a_code_of_another_client_is_unknown_and_stays_good(party: RelyingParty) -> None:
    thief = register(party.server, "thief-app", "T-INS2")
    answered, verifier = party.authorised()

    assert verdict(thief.exchange(answered["code"], verifier)) == (400, "code_unknown")
    assert verdict(party.exchange(answered["code"], verifier)) == (200, "")


@pytest.mark.parametrize("uri", [None, "https://claims.insurer.example/other", ""])
def test_the_redirect_address_must_be_that_of_the_request(
    party: RelyingParty, uri: str | None
) -> None:
    answered, verifier = party.authorised()
    reply = party.exchange(answered["code"], verifier, redirect_uri=uri)

    assert reply.json()["error"] == "invalid_grant"


def test_clause_08_a_code_bound_to_a_key_is_good_with_that_key_alone(party: RelyingParty) -> None:
    bound, verifier = party.authorised(dpop_jkt=party.key.thumbprint())
    again, other_verifier = party.authorised(dpop_jkt=party.key.thumbprint())
    another = ProvenBy(new_key(), party.server.clock)

    assert verdict(party.exchange(bound["code"], verifier)) == (200, "")
    stolen = party.exchange(again["code"], other_verifier, auth=another)
    assert verdict(stolen) == (400, "code_binding")


def test_clause_08_pushing_with_a_proof_binds_the_code(party: RelyingParty) -> None:
    answered, verifier = party.authorised()  # pushed with the party's proof
    another = ProvenBy(new_key(), party.server.clock)

    reply = party.exchange(answered["code"], verifier, auth=another)
    assert verdict(reply) == (400, "code_binding")


def test_a_client_that_never_proved_a_key_may_choose_one_at_the_exchange(
    party: RelyingParty,
) -> None:
    verifier = "v" * 43
    pushed = party.post("/oauth/par", party.parameters(verifier), auth=None)
    visit = party.visit(pushed.json()["request_uri"])
    code = query_of(party.decide(visit))["code"]

    assert verdict(party.exchange(code, verifier)) == (200, "")


@pytest.mark.parametrize("code", ["", "x", "x" * 43, "x" * 9000, "中文", "a.b.c"])
def test_an_invented_code_is_unknown(party: RelyingParty, code: str) -> None:
    assert party.exchange(code, "v" * 43).status_code == 400


def test_a_code_is_refused_at_another_resource(party: RelyingParty) -> None:
    answered, verifier = party.authorised()
    reply = party.exchange(answered["code"], verifier, resource="https://elsewhere.example")

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_target")


def test_clause_16_a_consent_is_granted_as_the_person_read_it(party: RelyingParty) -> None:
    consent = ask_consent(party.server)
    body = party.tokens_for(consent)
    (granted,) = body["authorization_details"]

    assert (granted["consent_id"], granted["scenario"]) == (consent.id, "SC03")
    assert granted["services"] == ["S18", "S19"]
    assert body["consent_id"] == consent.id
    assert consent_now(party.server, consent) == "AUTHORISED"
    assert party.introspect(body["access_token"])["authorization_details"] == [granted]


@pytest.mark.parametrize(
    "changed",
    [
        {"scenario": "SC01"},
        {"purpose": "marketing"},
        {"services": ["S18", "S19", "S20"]},
        {"services": ["S18"]},
        {"actions": ["read", "write"]},
        {"consent_id": "C-of-nobody"},
        {"consent_id": None},
        {"type": "urn:example:other"},
        {"extra": "member"},
    ],
)
def test_authorization_details_are_the_consent_and_nothing_wider(
    party: RelyingParty, changed: dict[str, object]
) -> None:
    asked = details(ask_consent(party.server), **changed)
    reply = party.push(authorization_details=asked).reply

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_authorization_details")


HALF = '[{"type": "urn:sluice:params:oauth:consent", "consent_id": "\\ud800"}]'


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", "[1]", "null", "[" * 900, "[{},{}]", HALF])
def test_authorization_details_of_another_form_are_refused(party: RelyingParty, text: str) -> None:
    reply = party.push(authorization_details=text).reply

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_authorization_details")


def test_a_consent_of_another_organisation_does_not_exist_here(party: RelyingParty) -> None:
    foreign = ask_consent(party.server, "T-INS2")
    reply = party.push(authorization_details=details(foreign)).reply
    invented = party.push(authorization_details=details(foreign, consent_id="C-0")).reply

    assert reply.json() == invented.json()


def test_a_consent_is_for_the_product_that_asked_not_for_the_whole_organisation(
    party: RelyingParty,
) -> None:
    other = register(party.server, "marketing-app")
    asked = details(ask_consent(party.server))
    reply = other.push(authorization_details=asked).reply

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_authorization_details")
    assert party.push(authorization_details=asked).reply.status_code == 201


def test_the_person_must_be_the_one_who_gave_the_consent(party: RelyingParty) -> None:
    consent = ask_consent(party.server)
    first = party.push(authorization_details=details(consent))
    party.decide(party.visit(first.request_uri), consent=consent.id)
    again = party.push(authorization_details=details(consent))

    url = party.decide(party.visit(again.request_uri), subject="subject-token-of-another")

    assert query_of(url)["error"] == "access_denied"


def test_a_consent_that_was_not_given_yields_no_code(party: RelyingParty) -> None:
    sent = party.push(authorization_details=details(ask_consent(party.server)))

    assert query_of(party.decide(party.visit(sent.request_uri)))["error"] == "access_denied"


def test_a_code_dies_with_its_consent(party: RelyingParty) -> None:
    consent = ask_consent(party.server)
    sent = party.push(authorization_details=details(consent))
    url = party.decide(party.visit(sent.request_uri), consent=consent.id)
    revoke_consent(party.server, consent)

    reply = party.exchange(query_of(url)["code"], sent.verifier)
    assert verdict(reply) == (400, "consent_revoked")
