"""DPoP over real HTTP: how a caller learns the nonce, and what a thief of tokens or proofs gets."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from gateway.identity.dpop import ProofChecker
from gateway.identity.tokens import PersonClaims, issue_token
from sluice_client.proof import ProvenBy, make_proof
from tests.factories_identity import new_key
from tests.gateway_factory import COST, Gateway

SERVICES = "/v1/services"
S02 = "/v1/services/S02/queries"


def proof(gateway: Gateway, client: str = "ins-app", **changes: Any) -> str:
    """A good proof of GET /v1/services with the client's token, but for the changes."""
    asked: dict[str, Any] = {
        "key": gateway.machines[client].key,
        "method": "GET",
        "url": f"{gateway.settings.base_url}{SERVICES}",
        "nonce": gateway.app.state.identity.proofs.nonce(gateway.clock()),
        "access_token": gateway.token(client),
        **changes,
    }
    return make_proof(now=gateway.clock(), **asked)


def get(
    gateway: Gateway, *proofs: str, token: str | None = None, scheme: str = "DPoP", **asked: Any
) -> httpx.Response:
    """GET with these DPoP headers."""
    headers = [("Authorization", f"{scheme} {token or gateway.token()}")]
    headers += [("DPoP", each) for each in proofs]
    headers += list(asked.pop("headers", {}).items())
    return gateway.http.get(asked.pop("path", SERVICES), headers=headers, **asked)


def refused(reply: httpx.Response, code: str, error: str = "invalid_dpop_proof") -> None:
    """401 as RFC 9449 §7.1 writes it, with a nonce to go on with."""
    assert (reply.status_code, reply.json()["code"]) == (401, code), reply.text
    challenge = reply.headers["www-authenticate"]
    assert challenge.startswith(f'DPoP error="{error}", error_description="')
    assert ', algs="ES256 PS256 EdDSA Ed25519", resource_metadata="http' in challenge
    assert reply.headers["dpop-nonce"]


def test_rfc9449_9_who_has_no_nonce_is_given_one_and_then_answered(gateway: Gateway) -> None:
    first = get(gateway, proof(gateway, nonce=None))
    refused(first, "dpop_nonce", "use_dpop_nonce")

    second = get(gateway, proof(gateway, nonce=first.headers["dpop-nonce"]))

    assert second.status_code == 200
    assert second.headers["dpop-nonce"]


def test_every_answer_to_a_dpop_caller_has_a_nonce(gateway: Gateway) -> None:
    replies = [
        gateway.ask(),
        gateway.ask(body={**COST, "surprise": 1}),
        gateway.ask("S99"),
        gateway.ask(client="pha-app"),
        gateway.get("/v1/usage"),
        gateway.get("/nowhere"),
    ]

    assert [reply.status_code for reply in replies] == [200, 400, 404, 403, 200, 404]
    assert all(reply.headers["dpop-nonce"] for reply in replies)
    assert "dpop-nonce" not in gateway.http.get("/oauth/jwks").headers  # which may be cached


def test_a_captured_request_cannot_be_sent_again(gateway: Gateway) -> None:
    once = proof(gateway)

    assert get(gateway, once).status_code == 200
    refused(get(gateway, once), "dpop_replayed")


def test_a_captured_proof_is_good_for_no_other_request(gateway: Gateway) -> None:
    refused(get(gateway, proof(gateway), path="/v1/usage"), "dpop_url")
    refused(get(gateway, proof(gateway, method="POST")), "dpop_method")
    refused(get(gateway, proof(gateway, url=f"{gateway.settings.base_url}/v1")), "dpop_url")
    other = gateway.token("pha-app")
    refused(get(gateway, proof(gateway, access_token=other)), "dpop_token")


def test_one_header_only(gateway: Gateway) -> None:
    refused(get(gateway, proof(gateway), proof(gateway)), "dpop_several")
    refused(get(gateway), "dpop_missing")


def test_a_nonce_of_another_process_is_answered_with_one_of_this(gateway: Gateway) -> None:
    elsewhere = ProofChecker().nonce(gateway.clock())

    refused(get(gateway, proof(gateway, nonce=elsewhere)), "dpop_nonce", "use_dpop_nonce")


def test_a_stolen_token_is_worth_nothing_with_another_key(gateway: Gateway) -> None:
    for thief in (new_key(), gateway.machines["ins-batch"].key, gateway.machines["pha-app"].key):
        refused(get(gateway, proof(gateway, key=thief)), "dpop_other_key", "invalid_token")


def test_rfc9449_7_2_a_bound_token_is_no_bearer_token(gateway: Gateway) -> None:
    for proofs in ((), (proof(gateway),)):
        for scheme in ("Bearer", "bearer", "BEARER"):
            reply = get(gateway, *proofs, scheme=scheme)
            refused(reply, "token_binding", "invalid_token")


def test_the_scheme_is_read_in_any_case(gateway: Gateway) -> None:
    assert get(gateway, proof(gateway), scheme="dpop").status_code == 200


def test_fapi_5_3_4_no_token_in_the_address_or_in_a_form(gateway: Gateway) -> None:
    token, once = gateway.token(), proof(gateway)
    for asked in (
        {"params": {"access_token": token}, "headers": {"DPoP": once}},
        {"params": {"access_token": token}},
    ):
        assert gateway.http.get(SERVICES, **asked).json()["code"] == "token_missing"
    form = gateway.http.post("/v1/services/S02/queries", data={"access_token": token})
    assert form.json()["code"] == "token_missing"


def test_two_authorization_headers_are_refused(gateway: Gateway) -> None:
    again = {"authorization": f"DPoP {gateway.token('pha-app')}"}

    refused(get(gateway, proof(gateway), headers=again), "token_malformed", "invalid_token")


def test_the_address_is_the_issuers_whatever_the_host_header_says(gateway: Gateway) -> None:
    host = {"host": "attacker.example", "x-forwarded-host": "attacker.example"}

    refused(
        get(gateway, proof(gateway, url=f"http://attacker.example{SERVICES}"), headers=host),
        "dpop_url",
    )
    assert get(gateway, proof(gateway), headers=host).status_code == 200


def test_headers_of_a_proxy_nobody_trusts_change_nothing(gateway: Gateway) -> None:
    claimed = {
        "x-forwarded-for": "203.0.113.7",
        "forwarded": "for=203.0.113.7",
        "client-cert": ":AAAA:",
    }

    assert get(gateway, proof(gateway), headers=claimed).status_code == 200


def logins(gateway: Gateway) -> list[tuple[str]]:
    with sqlite3.connect(gateway.settings.journal) as db:
        return db.execute("SELECT body FROM audit_event WHERE kind = 'login'").fetchall()


def test_asking_for_a_nonce_is_no_failure_on_record_and_a_wrong_proof_is(
    own_gateway: Gateway,
) -> None:
    get(own_gateway, proof(own_gateway, nonce=None))
    get(own_gateway, proof(own_gateway, key=new_key()))
    own_gateway.app.state.desk.journal.close()

    kept = [body for (body,) in logins(own_gateway)]
    assert sum("dpop_other_key" in body for body in kept) == 1
    assert not any("dpop_nonce" in body for body in kept)


def sent_to_token_endpoint(gateway: Gateway, headers: list[tuple[str, str]]) -> httpx.Response:
    form = gateway.machines["ins-app"].form(gateway.clock())
    return gateway.http.post("/oauth/token", data=form, headers=headers)


def at_token_endpoint(gateway: Gateway, **changes: Any) -> tuple[str, str]:
    asked = {
        "method": "POST",
        "url": f"{gateway.settings.base_url}/oauth/token",
        "access_token": None,
    }
    return "DPoP", proof(gateway, **{**asked, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"nonce": None}, "use_dpop_nonce", "dpop_nonce"),
        ({"method": "GET"}, "invalid_dpop_proof", "dpop_method"),
        ({"url": "http://127.0.0.1/oauth/token"}, "invalid_dpop_proof", "dpop_url"),
    ],
)
def test_the_token_endpoint_judges_proofs_alike(
    gateway: Gateway, changes: Mapping[str, Any], error: str, code: str
) -> None:
    reply = sent_to_token_endpoint(gateway, [at_token_endpoint(gateway, **changes)])

    assert (reply.status_code, reply.json()["error"], reply.json()["code"]) == (400, error, code)
    assert reply.headers["dpop-nonce"]


def test_no_token_without_exactly_one_fresh_proof(gateway: Gateway) -> None:
    once = at_token_endpoint(gateway)
    good = sent_to_token_endpoint(gateway, [once])
    assert (good.status_code, good.json()["token_type"]) == (200, "DPoP")
    for headers in ([], [once], [at_token_endpoint(gateway), at_token_endpoint(gateway)]):
        reply = sent_to_token_endpoint(gateway, headers)
        assert (reply.status_code, "access_token" in reply.json()) == (400, False)
        assert reply.headers["dpop-nonce"]


def test_a_form_may_be_repeated_with_the_nonce_it_lacked(gateway: Gateway) -> None:
    form = gateway.machines["ins-app"].form(gateway.clock())
    replies = [
        gateway.http.post("/oauth/token", data=form, headers=[at_token_endpoint(gateway, **nonce)])
        for nonce in ({"nonce": None}, {})
    ]

    assert [reply.status_code for reply in replies] == [400, 200]


def person_token(gateway: Gateway, *services: str) -> str:
    """A token as a person's authorisation of these services gives it."""
    identity = gateway.app.state.identity
    detail = {"type": "urn:sluice:params:oauth:consent", "services": list(services)}
    return issue_token(
        identity.rule,
        identity.ring(),
        client_id="ins-app",
        tenant_id="T-INS",
        now=gateway.clock(),
        cnf={"jkt": gateway.machines["ins-app"].key.thumbprint()},
        person=PersonClaims("pairwise", "G-1", "C-1", (detail,)),
    )


def test_a_persons_authorisation_opens_the_services_it_names_and_no_other(
    own_gateway: Gateway,
) -> None:
    key, replies = own_gateway.machines["ins-app"].key, []
    for services in ((), ("S04",), ("S02",)):
        proven = ProvenBy(key, own_gateway.clock, person_token(own_gateway, *services))
        replies.append(own_gateway.http.post(S02, json=COST, auth=proven))

    assert [reply.status_code for reply in replies] == [403, 403, 200]
    assert {tuple(reply.json().get("deny", ())) for reply in replies[:2]} == {("D603",)}
    own_gateway.app.state.desk.journal.close()
    with sqlite3.connect(own_gateway.settings.journal) as db:
        kept = db.execute("SELECT count(*) FROM audit_event WHERE body LIKE '%\"D603\"%'")
        assert kept.fetchone() == (2,)
