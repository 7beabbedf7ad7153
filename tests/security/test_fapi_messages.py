"""FAPI 2.0 Message Signing: signed requests (JAR), answers (JARM) and introspection (RFC 9701)."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.identity.jose import encode_json, encode_segment
from tests.factories_identity import new_key, public, sign
from tests.oauth_factory import RelyingParty, query_of, register, relying


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield register(running.server, "signing-app", message_signing=True)


def now_of(party: RelyingParty) -> int:
    return int(party.server.clock().timestamp())


def request_object(party: RelyingParty, **changed: Any) -> dict[str, Any]:
    """The claims of a good request object, with changes; a change to None leaves one out."""
    now = now_of(party)
    claims: dict[str, Any] = {
        **party.parameters("v" * 43, response_mode="jwt"),
        "iss": party.machine.client_id,
        "aud": party.server.identity.issuer,
        "nbf": now,
        "exp": now + 300,
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def push(party: RelyingParty, text: str) -> tuple[int, str]:
    reply = party.post("/oauth/par", {"request": text})
    return reply.status_code, str(reply.json().get("error"))


def signed(party: RelyingParty, **changed: Any) -> tuple[int, str]:
    header = {"alg": "ES256", "kid": party.key.kid}
    return push(party, sign(header, request_object(party, **changed), party.key))


def read(party: RelyingParty, text: str) -> dict[str, Any]:
    """A message of the server's, verified by a foreign library."""
    keys = KeySet.import_key_set(party.server.http.get("/oauth/jwks").json())
    return dict(jwt.decode(text, keys, algorithms=["ES256"]).claims)


def test_clause_19_a_client_set_for_signing_cannot_push_unsigned(party: RelyingParty) -> None:
    reply = party.push(response_mode="jwt").reply

    assert (reply.status_code, reply.json()["code"]) == (400, "request_unsigned")


def test_clause_19_a_signed_request_leads_to_tokens(party: RelyingParty) -> None:
    sent = party.push_signed(response_mode="jwt")
    url = party.decide(party.visit(sent.request_uri))
    answered = read(party, query_of(url)["response"])

    assert party.exchange(answered["code"], sent.verifier).status_code == 200


def test_clause_19_times_and_names_of_a_request_object(party: RelyingParty) -> None:
    now, issuer = now_of(party), party.server.identity.issuer
    assert signed(party) == (201, "None")
    assert signed(party, aud=[issuer, "https://other.example"]) == (201, "None")
    assert signed(party, nbf=now - 3500, exp=now + 60) == (201, "None")
    for changed in (
        {"aud": "https://other.example"},
        {"aud": None},
        {"aud": f"{issuer}/oauth/par"},
        {"iss": "another-client"},
        {"iss": None},
        {"client_id": None},
        {"nbf": None},
        {"exp": None},
        {"nbf": now - 3700, "exp": now + 10},
        {"nbf": now + 60},
        {"nbf": now - 10, "exp": now + 3600},
        {"exp": now - 60},
        {"exp": "soon"},
        {"exp": True},
        {"request_uri": "urn:x"},
        {"request": "x.y.z"},
    ):
        status, error = signed(party, **changed)
        assert status == 400, changed
        assert error in ("invalid_request_object", "invalid_request"), changed


def test_clause_19_the_rules_of_a_plain_request_hold_inside_a_signed_one(
    party: RelyingParty,
) -> None:
    for changed in (
        {"redirect_uri": "https://evil.example/"},
        {"code_challenge_method": "plain"},
        {"code_challenge": None},
        {"response_type": "token"},
        {"scope": "everything"},
        {"state": 7},
        {"authorization_details": "x"},
        {"authorization_details": [{"type": "other"}]},
    ):
        assert signed(party, **changed)[0] == 400, changed


def test_clause_19_only_a_registered_key_of_the_client_signs(party: RelyingParty) -> None:
    claims, stranger = request_object(party), new_key(str(party.key.kid))
    header = {"alg": "ES256", "kid": party.key.kid}
    secret = party.key.as_pem(private=False)  # type: ignore[attr-defined]  # an EC key has it
    unsigned = f"{encode_json({'alg': 'none'})}.{encode_json(claims)}."
    confused = f"{encode_json({'alg': 'HS256'})}.{encode_json(claims)}"
    tag = encode_segment(hmac.digest(secret, confused.encode(), "sha256"))
    forgeries = (
        sign(header, claims, stranger),
        sign({**header, "kid": "other"}, claims, party.key),
        sign({"alg": "ES256", "jwk": public(stranger)}, claims, stranger),
        sign({**header, "typ": "at+jwt"}, claims, party.key),
        unsigned,
        f"{confused}.{tag}",
        "x.y.z",
        "",
    )
    for text in forgeries:
        assert push(party, text)[0] == 400, text[:40]


def test_clause_19_no_parameter_stands_outside_of_the_request_object(
    party: RelyingParty,
) -> None:
    header = {"alg": "ES256", "kid": party.key.kid}
    text = sign(header, request_object(party), party.key)
    reply = party.post("/oauth/par", {"request": text, "redirect_uri": party.redirect_uri})

    assert (reply.status_code, reply.json()["code"]) == (400, "request_mixed")


def test_clause_19_any_client_may_sign(party: RelyingParty) -> None:
    plain = register(party.server, "plain-app")

    assert plain.push_signed().reply.status_code == 201


def test_clause_20_the_answer_is_signed_for_the_client_and_names_the_issuer(
    party: RelyingParty,
) -> None:
    for approve in (True, False):
        sent = party.push_signed(response_mode="jwt")
        url = party.decide(party.visit(sent.request_uri), approve=approve)
        assert query_of(url).keys() == {"response"}
        answered = read(party, query_of(url)["response"])
        assert answered["iss"] == party.server.identity.issuer
        assert answered["aud"] == party.machine.client_id
        assert answered["state"] == "state-of-the-client"
        assert 0 < answered["exp"] - now_of(party) <= 600
        assert ("code" in answered) is approve
        assert (answered.get("error") == "access_denied") is not approve


@pytest.mark.parametrize("mode", [None, "query", "fragment", "form_post", "fragment.jwt"])
def test_clause_20_a_signing_client_gets_no_unsigned_answer(
    party: RelyingParty, mode: str | None
) -> None:
    assert signed(party, response_mode=mode)[0] == 400


def test_clause_21_introspection_is_signed_for_who_accepts_it(party: RelyingParty) -> None:
    sent = party.push_signed(response_mode="jwt")
    url = party.decide(party.visit(sent.request_uri))
    code = read(party, query_of(url)["response"])["code"]
    token = party.exchange(code, sent.verifier).json()["access_token"]
    accept = {"accept": "application/token-introspection+jwt"}
    reply = party.post("/oauth/introspect", {"token": token}, headers=accept)
    statement = read(party, reply.text)

    assert reply.headers["content-type"] == "application/token-introspection+jwt"
    assert (
        jwt.decode(
            reply.text,
            KeySet.import_key_set(party.server.http.get("/oauth/jwks").json()),
            algorithms=["ES256"],
        ).header["typ"]
        == "token-introspection+jwt"
    )
    assert statement["aud"] == party.machine.client_id
    assert statement["iss"] == party.server.identity.issuer
    assert statement["token_introspection"]["active"] is True
    assert "exp" not in statement


def test_clause_21_a_refusal_stays_plain_json(party: RelyingParty) -> None:
    accept = {"accept": "application/token-introspection+jwt"}
    reply = party.server.http.post("/oauth/introspect", data={"token": "x"}, headers=accept)

    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_mixed_up_issuers_are_told_apart(party: RelyingParty) -> None:
    """A client with two servers sees from the answer alone which of them gave it."""
    sent = party.push_signed(response_mode="jwt")
    url = party.decide(party.visit(sent.request_uri))
    answered = read(party, query_of(url)["response"])

    assert answered["iss"] != "https://another-server.example"
    assert party.push_signed({"aud": "https://another-server.example"}).reply.status_code == 400
