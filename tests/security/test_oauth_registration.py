"""Dynamic registration: what the directory vouches for, never more; one statement, one client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.db.engine import writing
from gateway.identity.entries import ProductEntry
from gateway.identity.products import register_product, set_product_status
from gateway.identity.software_statement import issue_statement
from tests.factories_identity import Machine, act, new_key, public
from tests.oauth_factory import REDIRECT, RelyingParty, ask_consent, relying

KEY = new_key()
OTHER = "https://claims.insurer.example/other"


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    with relying(tmp_path_factory.mktemp("home")) as running:
        entry = ProductEntry.model_validate(
            {
                "id": "claims-suite",
                "tenant": "T-INS",
                "name_zh": "测试理赔产品",
                "name_en": "Invented claims suite",
                "redirect_uris": [REDIRECT, OTHER],
                "jwks": {"keys": [public(KEY)]},
                "security_contact": "security@insurer.example",
            }
        )
        with writing(running.server.identity.engine) as session:
            register_product(session, act(), entry)
        running.server.identity.directory.refresh()
        yield running


def statement(party: RelyingParty) -> str:
    identity = party.server.identity
    with writing(identity.engine) as session:
        return issue_statement(
            session,
            act(at=party.server.clock()),
            "claims-suite",
            ring=identity.ring(),
            issuer=identity.issuer,
        )


def ask(party: RelyingParty, text: str | None = None, **changed: Any) -> httpx.Response:
    document = {
        "software_statement": text or statement(party),
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [REDIRECT],
        "client_name": "测试理赔程序",
        **changed,
    }
    plain = {name: value for name, value in document.items() if value is not None}
    return party.server.http.post("/oauth/register", json=plain)


def registered(party: RelyingParty, **changed: Any) -> dict[str, Any]:
    reply = ask(party, **changed)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def manage(party: RelyingParty, client: dict[str, Any], method: str, **sent: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    address = client["registration_client_uri"]
    return party.server.http.request(method, address, **{"headers": headers} | sent)


def test_a_registered_client_can_go_the_whole_way_at_once(party: RelyingParty) -> None:
    client = registered(party)
    machine = Machine(client["client_id"], KEY, party.server.identity.issuer)

    assert "client_secret" not in client
    assert client["token_endpoint_auth_method"] == "private_key_jwt"
    assert client["dpop_bound_access_tokens"] is True
    assert RelyingParty(party.server, machine).tokens()["token_type"] == "DPoP"


def test_a_consent_asked_by_one_client_of_a_product_serves_its_other_one(
    party: RelyingParty,
) -> None:
    asker, other = registered(party), registered(party)
    consent = ask_consent(party.server, client_id=asker["client_id"])
    issuer = party.server.identity.issuer
    second = RelyingParty(party.server, Machine(other["client_id"], KEY, issuer))

    assert second.tokens_for(consent)["consent_id"] == consent.id


def test_a_statement_registers_one_client(party: RelyingParty) -> None:
    text = statement(party)

    assert ask(party, text).status_code == 201
    again = ask(party, text)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_software_statement")


def test_a_refused_registration_does_not_use_the_statement_up(party: RelyingParty) -> None:
    text = statement(party)

    assert ask(party, text, redirect_uris=["https://evil.example/"]).status_code == 400
    assert ask(party, text).status_code == 201


@pytest.mark.parametrize("text", ["x", "x.y.z", "e30.e30.e30", ""])
def test_without_a_statement_of_the_directory_nobody_registers(
    party: RelyingParty, text: str
) -> None:
    reply = ask(party, text or "-")

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_software_statement")


def test_an_old_statement_registers_nobody(party: RelyingParty) -> None:
    text = statement(party)
    party.server.clock.shift = timedelta(minutes=31)
    try:
        reply = ask(party, text)
    finally:
        party.server.clock.shift = timedelta()
    assert reply.json()["error"] == "invalid_software_statement"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"redirect_uris": ["https://evil.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [REDIRECT, f"{REDIRECT}/deeper"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"jwks": {"keys": [public(new_key())]}}, "invalid_client_metadata"),
        ({"jwks_uri": "https://evil.example/jwks"}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"grant_types": ["refresh_token"], "redirect_uris": None}, "invalid_client_metadata"),
        ({"grant_types": []}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_signing_alg": "RS256"}, "invalid_client_metadata"),
        ({"request_object_signing_alg": "none"}, "invalid_client_metadata"),
        ({"dpop_bound_access_tokens": False}, "invalid_client_metadata"),
        ({"require_pushed_authorization_requests": False}, "invalid_client_metadata"),
        ({"subject_type": "public"}, "invalid_client_metadata"),
        ({"software_id": "another-product"}, "invalid_client_metadata"),
        ({"scope": "everything"}, "invalid_client_metadata"),
        ({"client_name": "good\u202ename"}, "invalid_client_metadata"),
        ({"client_name": "good\x00name"}, "invalid_client_metadata"),
    ],
)
def test_a_registration_can_only_narrow_what_is_vouched_for(
    party: RelyingParty, changed: dict[str, Any], error: str
) -> None:
    reply = ask(party, **changed)

    assert (reply.status_code, reply.json()["error"]) == (400, error), reply.text


def test_signing_and_certificate_binding_can_be_registered(party: RelyingParty) -> None:
    client = registered(
        party,
        require_signed_request_object=True,
        tls_client_certificate_bound_access_tokens=True,
        client_name="国家医疗保障局",
    )
    record = party.server.identity.directory.snapshot.clients[client["client_id"]]

    assert record.message_signing
    assert (record.binding, record.auth_method) == ("mtls", "private_key_jwt")
    assert record.name != "国家医疗保障局"  # people read the product's name


def test_a_client_reads_and_replaces_its_registration(party: RelyingParty) -> None:
    client = registered(party)
    seen = manage(party, client, "GET").json()
    wanted = {**seen, "redirect_uris": [OTHER]}
    replaced = manage(party, client, "PUT", json=wanted)
    widened = manage(party, client, "PUT", json={**seen, "redirect_uris": ["https://evil.test/"]})
    renamed = manage(party, client, "PUT", json={**seen, "client_id": "another"})

    assert seen["redirect_uris"] == [REDIRECT]
    assert (replaced.status_code, replaced.json()["redirect_uris"]) == (200, [OTHER])
    assert widened.json()["error"] == "invalid_redirect_uri"
    assert renamed.status_code == 400
    assert manage(party, client, "GET").json()["redirect_uris"] == [OTHER]


def test_a_deleted_client_is_gone_with_its_tokens(party: RelyingParty) -> None:
    client = registered(party)
    gone = RelyingParty(
        party.server, Machine(client["client_id"], KEY, party.server.identity.issuer)
    )
    held = gone.tokens()["refresh_token"]

    assert manage(party, client, "DELETE").status_code == 204
    assert gone.refresh(held).json()["code"] == "client_refused"
    assert manage(party, client, "GET").status_code == 401


def test_only_the_registration_token_of_the_client_opens_its_registration(
    party: RelyingParty,
) -> None:
    client, other = registered(party), registered(party)
    replies = [
        manage(party, {**client, "registration_access_token": token}, "GET")
        for token in ("-", "x", other["registration_access_token"])
    ]
    address = f"{party.server.identity.issuer}/oauth/register/no-such-client"
    unknown = manage(party, {**client, "registration_client_uri": address}, "GET")
    by_hand = manage(party, {**client, "registration_client_uri": f"{address}x"}, "GET")

    assert {reply.status_code for reply in (*replies, unknown, by_hand)} == {401}
    assert len({reply.text for reply in (*replies, unknown)}) == 1


def test_a_client_made_by_hand_has_no_registration_token(party: RelyingParty) -> None:
    address = f"{party.server.identity.issuer}/oauth/register/{party.machine.client_id}"
    client = {"registration_client_uri": address, "registration_access_token": "-"}

    assert manage(party, client, "GET").status_code == 401


def test_a_suspended_product_registers_nobody(party: RelyingParty) -> None:
    text = statement(party)
    for status, expected in (("suspended", 400), ("active", 201)):
        with writing(party.server.identity.engine) as session:
            set_product_status(session, act(), "claims-suite", status)
        assert ask(party, text).status_code == expected


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b'"x"', b"{", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(party: RelyingParty, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    reply = party.server.http.post("/oauth/register", content=content, headers=headers)

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client_metadata")


def test_encryption_that_is_not_done_is_refused_not_ignored(party: RelyingParty) -> None:
    for member in (
        "id_token_encrypted_response_alg",
        "authorization_encrypted_response_enc",
        "introspection_encrypted_response_alg",
        "userinfo_encrypted_response_alg",
        "request_object_encryption_alg",
    ):
        reply = ask(party, **{member: "RSA-OAEP-256"})
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client_metadata")
    for wrong in (
        {"claims_encrypted_response_alg": "RSA1_5"},
        {"claims_encrypted_response_alg": "ECDH-ES+A256KW"},  # the product vouches for no such key
        {"claims_encrypted_response_enc": "A256GCM"},
        {
            "claims_encrypted_response_alg": "RSA-OAEP-256",
            "claims_encrypted_response_enc": "A128GCM",
        },
    ):
        assert ask(party, **wrong).status_code == 400


def test_a_client_registers_for_encrypted_answers_with_a_key_its_product_has(
    party: RelyingParty,
) -> None:
    sealing = {**public(new_key()), "kid": "seal-1", "use": "enc", "alg": "ECDH-ES+A256KW"}
    entry = ProductEntry.model_validate(
        {
            "id": "sealed-suite",
            "tenant": "T-INS",
            "name_zh": "测试加密产品",
            "name_en": "Invented sealed suite",
            "redirect_uris": [REDIRECT],
            "jwks": {"keys": [public(KEY), sealing]},
            "security_contact": "security@insurer.example",
        }
    )
    identity = party.server.identity
    with writing(identity.engine) as session:
        register_product(session, act(), entry)
        at = act(at=party.server.clock())
        ring, issuer = identity.ring(), identity.issuer
        text = issue_statement(session, at, "sealed-suite", ring=ring, issuer=issuer)
    wanted = {"claims_encrypted_response_alg": "ECDH-ES+A256KW"}
    client = registered(party, software_statement=text, **wanted)
    assert client["claims_encrypted_response_alg"] == "ECDH-ES+A256KW"
    assert client["claims_encrypted_response_enc"] == "A256GCM"
    assert {key["use"] for key in client["jwks"]["keys"]} == {"sig", "enc"}
    assert [key.kid for key in identity.directory.snapshot.keys[client["client_id"]]] != ["seal-1"]
