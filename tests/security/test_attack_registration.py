"""Attacks on what a client may call itself and use: names, keys, certificates, others' consents."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from gateway.db.engine import writing
from gateway.identity.entries import ProductEntry
from gateway.identity.products import register_product
from gateway.identity.software_statement import issue_statement
from tests.consent_factory import ConsentServer, add_app, answer_of, consenting, details
from tests.factories_identity import Machine, act, new_key, public

IMPOSTOR = "国家医疗保障局"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("registration") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def key() -> ECKey:
    return new_key()


@pytest.fixture(scope="module")
def product(server: ConsentServer, key: ECKey) -> str:
    entry = {
        "id": "P-CLAIMS",
        "tenant": "T-INS",
        "name_zh": "测试理赔产品（虚构）",
        "name_en": "An invented product",
        "redirect_uris": [server.redirect_uri],
        "jwks": {"keys": [public(key)]},
        "security_contact": "test",
    }
    with writing(server.identity.engine) as session:
        return register_product(session, act(), ProductEntry.model_validate(entry)).id


def statement(server: ConsentServer, product: str) -> str:
    identity, moment = server.identity, act(at=server.clock())
    with writing(identity.engine) as session:
        return issue_statement(
            session, moment, product, ring=identity.ring(), issuer=identity.issuer
        )


def register(server: ConsentServer, product: str, **asked: Any) -> httpx.Response:
    body = {
        "software_statement": statement(server, product),
        "grant_types": ["authorization_code"],
        **asked,
    }
    return server.http.post("/oauth/register", json=body)


def test_the_person_is_told_who_asks_not_what_the_client_calls_itself(
    server: ConsentServer, product: str, key: ECKey
) -> None:
    reply = register(server, product, client_name=IMPOSTOR)
    if reply.status_code != 201:
        return  # refused where it came in: better still
    client = reply.json()["client_id"]
    machine = Machine(client, key, server.identity.issuer)
    own = replace(server, machines={**server.machines, client: machine})
    browser = own.browser()
    browser.visit(own.push(None, client), "adult")
    assert "T-INS" in browser.page.text
    assert IMPOSTOR not in browser.page.text


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "a\u202eb", "a\u2066b", "\u200b", ""])
def test_a_name_that_reads_differently_is_refused(
    server: ConsentServer, product: str, name: str
) -> None:
    assert register(server, product, client_name=name).status_code == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"tls_client_auth_subject_dn": "CN=anybody"},
        {"tls_client_auth_san_dns": "anybody.example"},
    ],
)
def test_a_certificate_nobody_vouched_for_registers_nobody(
    server: ConsentServer, product: str, asked: dict[str, str]
) -> None:
    """Else a leaked statement and anybody's certificate would make a client of the product."""
    method = {"token_endpoint_auth_method": "tls_client_auth"}
    assert register(server, product, **method, **asked).status_code == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"jwks": {"keys": [public(new_key())]}},
        {"jwks_uri": "https://keys.example/jwks"},
        {"redirect_uris": ["https://evil.example/callback"]},
        {"grant_types": ["client_credentials"], "redirect_uris": ["https://evil.example/"]},
        {"software_id": "P-OTHER"},
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"dpop_bound_access_tokens": False},
    ],
)
def test_nothing_the_statement_does_not_say_can_be_registered(
    server: ConsentServer, product: str, asked: dict[str, Any]
) -> None:
    assert register(server, product, **asked).status_code == 400


def test_what_a_registrant_may_not_choose_is_not_chosen_by_it(
    server: ConsentServer, product: str
) -> None:
    chosen = {
        "client_id": "claims-app",
        "tenant_id": "T-INS2",
        "org_id": "T-INS2",
        "registration_digest": "0" * 64,
        "registration_access_token": "chosen",
    }
    made = register(server, product, **chosen).json()
    assert made["client_id"].startswith(f"{product}.")
    assert made["registration_access_token"] != "chosen"
    server.identity.directory.refresh()
    kept = server.identity.directory.snapshot.clients[made["client_id"]]
    assert (kept.tenant_id, kept.registration_digest == "0" * 64) == ("T-INS", False)


def test_one_statement_sent_ten_times_at_once_registers_one_client(
    server: ConsentServer, product: str
) -> None:
    body = {"software_statement": statement(server, product)}

    def send(_number: int) -> int:
        return server.http.post("/oauth/register", json=body).status_code

    with ThreadPoolExecutor(10) as threads:
        assert Counter(threads.map(send, range(10))) == {201: 1, 400: 9}


def test_another_client_of_the_organisation_cannot_use_a_consent(server: ConsentServer) -> None:
    """The person was shown one product; tokens are for its clients alone."""
    name = f"other-{secrets.token_hex(3)}"
    machine = add_app(server.identity, "T-INS", name, server.redirect_uri)
    others = replace(server, machines={**server.machines, name: machine})
    consent = server.asked()
    browser = server.browser()
    browser.visit(server.push(consent), "adult")
    assert "code" in answer_of(browser.send("consent", decision="approve"))
    form = {
        **{k: v for k, v in machine.form(server.clock()).items() if k != "grant_type"},
        "response_type": "code",
        "redirect_uri": server.redirect_uri,
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "authorization_details": details(consent),
    }
    reply = server.http.post("/oauth/par", data=form, auth=others.plain(name))
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_authorization_details")
