"""Behind a proxy that ends TLS: whose certificate and address headers are believed (RFC 9440)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from gateway.identity.jose import parse_compact
from gateway.settings import Settings
from sluice_client.proof import ProvenBy
from tests.certificates import Authority, Issued, new_authority
from tests.factories_identity import add_client
from tests.gateway_factory import Gateway, copy_home, copy_policies, serving

FORM = {"grant_type": "client_credentials", "client_id": "ins-tls"}
TERMS = {
    "auth_method": "tls_client_auth",
    "binding": "mtls",
    "tls_san_dns": "ins-tls.client.example",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def cert(authority: Authority) -> Issued:
    return authority.issue("ins-tls", dns="ins-tls.client.example")


@pytest.fixture(scope="module")
def proxied(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose only trusted proxy is 127.0.0.1: the test plays the proxy."""
    folder = tmp_path_factory.mktemp("proxied")
    home, policies = copy_home(released_home, folder / "home"), copy_policies(folder / "policies")
    with serving(home, policies, trusted_proxies="127.0.0.1, 192.0.2.0/24") as running:
        add_client(running.app.state.identity, "ins-tls", "T-INS", None, **TERMS)
        running.app.state.identity.directory.refresh()
        yield running


def handed_on(cert: Issued) -> dict[str, str]:
    """The header of RFC 9440 §2.2: a byte sequence of structured fields."""
    return {"Client-Cert": f":{base64.b64encode(cert.der).decode()}:"}


def token(gateway: Gateway, headers: Mapping[str, str]) -> httpx.Response:
    return gateway.http.post("/oauth/token", data=FORM, headers=headers)


def services(gateway: Gateway, bound: str, headers: Mapping[str, str]) -> httpx.Response:
    sent = {"Authorization": f"Bearer {bound}", **headers}
    return gateway.http.get("/v1/services", headers=sent)


def test_rfc9440_the_certificate_a_trusted_proxy_hands_on_is_the_senders(
    proxied: Gateway, cert: Issued
) -> None:
    bound = token(proxied, handed_on(cert)).json()["access_token"]

    assert parse_compact(bound).claims["cnf"] == {"x5t#S256": cert.value.thumbprint}
    assert services(proxied, bound, handed_on(cert)).status_code == 200


def test_a_bound_token_needs_the_same_certificate_on_every_request(
    proxied: Gateway, cert: Issued, authority: Authority
) -> None:
    bound = token(proxied, handed_on(cert)).json()["access_token"]
    for headers in ({}, handed_on(authority.issue("thief"))):
        assert services(proxied, bound, headers).json()["code"] == "token_binding"


@pytest.mark.parametrize(
    "value",
    ["", "::", "AAAA", ":AAAA:", ":!!!!:", ":QUJD", f":{'A' * 20_000}:", ":QUJD:, :QUJD:"],
)
def test_a_header_that_is_no_certificate_ends_the_request(proxied: Gateway, value: str) -> None:
    reply = token(proxied, {"Client-Cert": value})

    assert (reply.status_code, reply.json()["code"]) == (400, "client_cert_header")


def test_two_certificate_headers_end_the_request(proxied: Gateway, cert: Issued) -> None:
    twice = [*handed_on(cert).items(), *handed_on(cert).items()]

    reply = proxied.http.post("/oauth/token", data=FORM, headers=twice)

    assert (reply.status_code, reply.json()["code"]) == (400, "client_cert_header")


def test_the_header_of_an_untrusted_peer_is_not_looked_at(gateway: Gateway, cert: Issued) -> None:
    identity = gateway.app.state.identity
    if "ins-tls" not in identity.directory.snapshot.clients:
        add_client(identity, "ins-tls", "T-INS", None, **TERMS)
        identity.directory.refresh()
    for headers in (handed_on(cert), {"Client-Cert": "rubbish"}):
        forwarded = {**headers, "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
        reply = token(gateway, forwarded)
        assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_a_token_bound_behind_the_proxy_is_not_accepted_from_elsewhere(
    proxied: Gateway, gateway: Gateway, cert: Issued
) -> None:
    bound = token(proxied, handed_on(cert)).json()["access_token"]

    assert services(gateway, bound, handed_on(cert)).status_code == 401


@pytest.mark.parametrize(
    ("forwarded", "registered"),
    [
        ("127.0.0.9", True),
        ("203.0.113.7, 127.0.0.9", True),  # the first was written by the client itself
        ("127.0.0.9, 192.0.2.1", True),  # a second proxy of ours
        ("203.0.113.7", False),
        ("127.0.0.9, 203.0.113.7", False),
        ("unknown, 127.0.0.9", True),
    ],
)
def test_the_senders_address_is_the_last_that_is_no_proxy(
    proxied: Gateway, forwarded: str, registered: bool
) -> None:
    headers = {"X-Forwarded-For": forwarded}
    form = proxied.machines["ins-app"].form(proxied.clock())
    prover = ProvenBy(proxied.machines["ins-app"].key, proxied.clock)
    reply = proxied.http.post("/oauth/token", data=form, headers=headers, auth=prover)

    called = proxied.http.get("/v1/services", headers=headers, auth=proxied.auth())
    asked = proxied.ask(headers=headers)

    if registered:
        assert {each.status_code for each in (reply, called, asked)} == {200}
    else:
        assert (reply.status_code, reply.json()["code"]) == (401, "sender_unregistered")
        assert (called.status_code, called.json()["code"]) == (403, "D101")
        assert (asked.status_code, asked.json()["deny"]) == (403, ["D101"])


@pytest.mark.parametrize("forwarded", ["unknown", "127.0.0.9, unknown", "127.0.0.9:80", "_x"])
def test_what_a_proxy_names_instead_of_an_address_ends_the_request(
    proxied: Gateway, forwarded: str
) -> None:
    reply = proxied.ask(headers={"X-Forwarded-For": forwarded})

    assert (reply.status_code, reply.json()["code"]) == (400, "forwarded_for")


@pytest.mark.parametrize(
    "wrong",
    [
        {"trusted_proxies": "anybody"},
        {"trusted_proxies": "10.0.0.0/99"},
        {"client_cert_header": "two words"},
        {"tls_cert": "cert.pem"},
        {"client_ca": "ca.pem"},
    ],
)
def test_settings_that_would_trust_by_accident_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]  # texts, as the environment gives them
