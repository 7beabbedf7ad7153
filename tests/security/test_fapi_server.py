"""FAPI 2.0 Security Profile, the server as a whole: metadata, clients, tokens, algorithms.

Each test is named after its clause of the checklist in the research notes (§2).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from gateway.identity.entries import ClientTerms
from gateway.identity.jose import ALGORITHMS, encode_json, parse_compact
from sluice_client.proof import ProvenBy, token_form
from tests.factories_identity import Machine, add_client, new_key, proven, public, sign
from tests.oauth_factory import RelyingParty, query_of, relying


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        yield running


def metadata(party: RelyingParty, name: str = "oauth-authorization-server") -> dict[str, Any]:
    return dict(party.server.http.get(f"/.well-known/{name}").json())


def test_clause_01_both_metadata_documents_state_the_issuer_exactly(party: RelyingParty) -> None:
    oauth, openid = metadata(party), metadata(party, "openid-configuration")

    assert oauth["issuer"] == openid["issuer"] == party.server.identity.issuer
    assert {name: openid[name] for name in oauth} == oauth
    assert openid["subject_types_supported"] == ["pairwise"]


def test_clause_01_every_endpoint_of_the_metadata_answers(party: RelyingParty) -> None:
    found = metadata(party)
    addresses = [value for name, value in found.items() if name.endswith("_endpoint")]

    assert len(addresses) == 6
    for address in addresses:
        assert party.server.http.post(address).status_code in (400, 401, 405), address
    assert party.server.http.get(found["jwks_uri"]).status_code == 200


@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:x:other"])
def test_clause_02_there_is_no_password_grant_and_no_other(
    party: RelyingParty, grant_type: str
) -> None:
    form = {"grant_type": grant_type, "username": "someone", "password": "something"}
    reply = party.post("/oauth/token", form)

    assert (reply.status_code, reply.json()["error"]) == (400, "unsupported_grant_type")
    assert grant_type not in reply.text


@pytest.mark.parametrize("path", ["token", "par", "revoke", "introspect"])
def test_clause_02_no_endpoint_serves_a_client_that_does_not_authenticate(
    party: RelyingParty, path: str
) -> None:
    form = {**party.parameters("v" * 43), "grant_type": "client_credentials", "token": "x"}
    reply = party.server.http.post(f"/oauth/{path}", data=form, auth=party.prover)

    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_clause_03_every_token_is_bound_to_its_sender(party: RelyingParty) -> None:
    issued = [party.tokens()["access_token"], party.server.token(party.machine)]

    for token in issued:
        assert parse_compact(token).claims["cnf"].keys() == {"jkt"}


@pytest.mark.parametrize("grant", ["client_credentials", "authorization_code", "refresh_token"])
def test_clause_03_without_a_proof_there_is_no_token(party: RelyingParty, grant: str) -> None:
    answered, verifier = party.authorised()
    refresh_token = party.tokens()["refresh_token"]
    form = {
        "grant_type": grant,
        "code": answered["code"],
        "code_verifier": verifier,
        "redirect_uri": party.redirect_uri,
        "refresh_token": refresh_token,
    }
    reply = party.post("/oauth/token", form, auth=None)

    assert (reply.status_code, reply.json()["code"]) == (400, "dpop_missing")
    assert reply.headers["dpop-nonce"]
    # Nothing was used up: with a proof the same code is still good.
    if grant == "authorization_code":
        assert party.exchange(answered["code"], verifier).status_code == 200


@pytest.mark.parametrize(
    "audience", [["ISSUER"], "ISSUER/oauth/token", "ISSUER/oauth/par", "ISSUER/", None]
)
@pytest.mark.parametrize("path", ["par", "token", "revoke", "introspect"])
def test_clause_04_an_assertions_audience_is_the_issuer_as_a_string_only(
    party: RelyingParty, path: str, audience: Any
) -> None:
    issuer = party.server.identity.issuer
    if isinstance(audience, str):
        audience = audience.replace("ISSUER", issuer)
    if isinstance(audience, list):
        audience = [issuer]
    assertion = party.machine.assertion(party.server.clock(), aud=audience)
    form = {"client_assertion": assertion, "grant_type": "client_credentials"}
    reply = party.post(f"/oauth/{path}", form)

    assert (reply.status_code, reply.json()["code"]) == (401, "assertion_audience")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_clause_04_nobody_can_be_registered_for_another_authentication(method: str) -> None:
    with pytest.raises(ValueError, match="auth_method"):
        ClientTerms.model_validate({"auth_method": method})


def test_clause_09_clocks_may_differ_by_ten_seconds_never_by_a_minute(
    party: RelyingParty,
) -> None:
    now = int(party.server.clock().timestamp())
    ahead = {seconds: {"iat": now + seconds, "nbf": now + seconds} for seconds in (8, 61)}

    good = party.machine.form(party.server.clock(), **ahead[8])
    bad = party.machine.form(party.server.clock(), **ahead[61])

    assert party.server.http.post("/oauth/token", data=good, auth=party.prover).is_success
    refused = party.server.http.post("/oauth/token", data=bad, auth=party.prover)
    assert refused.json()["code"] == "assertion_not_yet_valid"


def test_clause_15_a_nonce_of_64_and_a_state_of_two_thousand_characters_come_back(
    party: RelyingParty,
) -> None:
    answered, verifier = party.authorised(nonce="n" * 64, state="s" * 2000)
    body = party.exchange(answered["code"], verifier).json()

    assert answered["state"] == "s" * 2000
    assert parse_compact(body["id_token"]).claims["nonce"] == "n" * 64


def test_clause_17_tokens_in_an_address_are_not_looked_at(party: RelyingParty) -> None:
    token = party.server.token(party.machine)
    for path in ("/oauth/introspect", "/oauth/revoke"):
        reply = party.post(path, {"token": token}, params={"access_token": token})
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


def test_clause_17_a_revoked_token_is_refused_at_once_where_it_was_revoked(
    party: RelyingParty,
) -> None:
    identity, now = party.server.identity, party.server.clock()
    token = party.server.token(party.machine)
    prover = party.server.prover.key

    def verdict() -> str:
        shown = proven(identity, prover, now, token)
        try:
            return identity.verifier.verify(f"DPoP {token}", shown, now).client_id
        except Exception as error:  # noqa: BLE001 - whichever refusal, its code is compared
            return str(getattr(error, "code", error))

    assert verdict() == party.machine.client_id
    assert party.post("/oauth/revoke", {"token": token}).status_code == 200
    assert verdict() == "token_revoked"


def test_clause_18_only_three_algorithms_are_on_offer(party: RelyingParty) -> None:
    found = metadata(party, "openid-configuration")
    offered = {
        algorithm
        for name, value in found.items()
        if "alg_values" in name and "encryption" not in name
        for algorithm in value
    }

    assert offered == {"PS256", "ES256", "EdDSA", "Ed25519"} == set(ALGORITHMS)


@pytest.mark.parametrize("claimed", ["none", "RS256", "HS256", "ES384", "PS512"])
def test_clause_18_other_algorithms_are_refused_whatever_the_endpoint(
    party: RelyingParty, claimed: str
) -> None:
    good = party.machine.assertion(party.server.clock())
    header = encode_json({"alg": claimed, "kid": str(party.key.kid)})
    forged = f"{header}.{good.partition('.')[2]}"
    for path in ("token", "par", "revoke", "introspect"):
        form = {
            "client_assertion": forged,
            "token": "x",
            "grant_type": "client_credentials",
            **party.parameters("v" * 43),
        }
        reply = party.post(f"/oauth/{path}", form)
        assert (reply.status_code, reply.json()["code"]) == (401, "assertion_algorithm")


def test_clause_18_secrets_hold_at_least_128_bits_and_none_is_kept_in_plain(
    party: RelyingParty,
) -> None:
    sent = party.push()
    visit = party.visit(sent.request_uri)
    code = query_of(party.decide(visit))["code"]
    refresh_token = party.exchange(code, sent.verifier).json()["refresh_token"]
    secrets = [sent.request_uri.rpartition(":")[2], visit[1], code, refresh_token]
    with sqlite3.connect(party.server.settings.database) as database:
        kept = "\n".join(database.iterdump())

    for secret in secrets:
        assert len(secret) >= 43
        assert secret not in kept


def test_clause_18_the_published_keys_have_distinct_names_and_no_foreign_material(
    party: RelyingParty,
) -> None:
    keys = party.server.http.get("/oauth/jwks").json()["keys"]

    assert len({key["kid"] for key in keys}) == len(keys) == 2
    assert not {"d", "x5u", "jku", "k"} & {name for key in keys for name in key}


def test_clause_23_the_interaction_id_comes_back(party: RelyingParty) -> None:
    given = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    reply = party.post("/oauth/par", {}, headers={"x-fapi-interaction-id": given})

    assert reply.headers["x-fapi-interaction-id"] == given


def test_clause_25_tokens_are_lean_and_no_client_looks_like_a_person(
    party: RelyingParty,
) -> None:
    body = party.tokens()
    claims = parse_compact(body["access_token"]).claims

    assert len(body["access_token"]) < 1024
    assert claims["sub"] != claims["client_id"]
    assert "subject-token" not in str(claims)


def test_the_identity_token_verifies_by_a_foreign_library_and_names_nobody(
    party: RelyingParty,
) -> None:
    body = party.tokens()
    keys = KeySet.import_key_set(party.server.http.get("/oauth/jwks").json())
    claims = jwt.decode(body["id_token"], keys, algorithms=["ES256"]).claims

    assert claims["iss"] == party.server.identity.issuer
    assert claims["aud"] == party.machine.client_id
    assert claims["sub"] == parse_compact(body["access_token"]).claims["sub"]
    assert claims["exp"] - claims["iat"] == 300


def test_authlib_never_writes_a_token_into_its_log(
    party: RelyingParty, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        body = party.tokens()

    assert body["access_token"] not in caplog.text
    assert body["refresh_token"] not in caplog.text


def test_an_rsa_key_signs_by_ps256_at_every_step(party: RelyingParty) -> None:
    key = RSAKey.generate_key(2048)
    add_client(party.server.identity, "rsa-app", "T-INS", {**public(key), "kid": "r1"})
    party.server.identity.directory.refresh()
    machine = Machine("rsa-app", key, party.server.identity.issuer)
    claims = machine.claims(party.server.clock())
    form = token_form(sign({"alg": "PS256", "kid": "r1"}, claims, key))
    prover = ProvenBy(new_key(), party.server.clock)
    reply = party.server.http.post("/oauth/token", data=form, auth=prover)

    assert reply.status_code == 200, reply.text
