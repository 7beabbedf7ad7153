"""Addresses are accepted in one spelling only; what two parsers could read differently is not."""

from __future__ import annotations

import pytest

from gateway.errors import OperatorError
from gateway.identity.addresses import address_fault, redirect_fault
from gateway.identity.entries import ClientTerms, check_entry
from tests.factories_identity import tenant_entry

GOOD = (
    "https://app.example/cb",
    "https://app.example:8443/cb?part=1",
    "https://192.0.2.7/cb",
    "https://[2001:db8::7]/cb",
)
BAD = (
    "http://app.example/cb",
    "ftp://app.example/cb",
    "//app.example/cb",
    "javascript:alert(1)",
    "https://user@app.example/cb",
    "https://app.example@evil.example/cb",
    "https://app.example/cb#part",
    "https://app.example/../cb",
    "https://app.example/a/%2e%2e/cb",
    "https://app.example/cb\\evil",
    "https://аpp.example/cb",
    "https://App.example/cb",
    "https://app.example./cb",
    "https://-app.example/cb",
    "https://app..example/cb",
    "https://app.example:0/cb",
    "https://app.example:99999/cb",
    "https:///cb",
    "https://app.example/\ncb",
    "https://app.example/ cb",
    "https://app.example/" + "x" * 500,
)


@pytest.mark.parametrize("uri", GOOD)
def test_plain_https_addresses_are_accepted(uri: str) -> None:
    assert redirect_fault(uri) is None
    assert address_fault(uri) is None


@pytest.mark.parametrize("uri", BAD)
def test_everything_else_is_refused(uri: str) -> None:
    assert redirect_fault(uri)
    assert address_fault(uri)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_only_a_redirect_to_this_machine_may_do_without_tls(host: str) -> None:
    assert redirect_fault(f"http://{host}:8400/cb") is None
    assert address_fault(f"http://{host}:8400/keys")


@pytest.mark.parametrize("host", ["localhost.evil.example", "127.0.0.1.evil.example", "127.1"])
def test_a_name_that_only_looks_like_this_machine_needs_tls(host: str) -> None:
    assert redirect_fault(f"http://{host}/cb")


@pytest.mark.parametrize(
    "terms",
    [
        {"grant_types": ["authorization_code"]},
        {"redirect_uris": ["https://app.example/cb"]},
        {"grant_types": ["client_credentials", "refresh_token"]},
        {"grant_types": []},
        {"grant_types": ["client_credentials", "client_credentials"]},
        {"grant_types": ["password"]},
        {"auth_method": "tls_client_auth"},
        {"auth_method": "tls_client_auth", "tls_san_dns": "a.example", "tls_subject_dn": "CN=a"},
        {"tls_san_dns": "a.example"},
        {"auth_method": "client_secret_basic"},
        {"binding": "none"},
        {"jwks_uri": "http://127.0.0.1/keys"},
    ],
)
def test_terms_that_contradict_themselves_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(OperatorError) as caught:
        check_entry(ClientTerms, terms, "terms")
    assert caught.value.code == "entry.invalid"


def test_the_default_terms_are_a_machine_with_dpop() -> None:
    terms = ClientTerms()
    assert (terms.grant_types, terms.binding, terms.auth_method) == (
        ("client_credentials",),
        "dpop",
        "private_key_jwt",
    )


@pytest.mark.parametrize("network", ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3"])
def test_an_allow_list_names_no_network_that_is_nearly_everything(network: str) -> None:
    with pytest.raises(ValueError, match="that wide"):
        tenant_entry(source_ips=[network])
    assert tenant_entry(source_ips=["10.0.0.0/8"]).source_ips == ("10.0.0.0/8",)


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "\u202egnitset", "a\u200bb", "a\ud800b"])
def test_a_name_shows_what_it_holds(name: str) -> None:
    with pytest.raises(ValueError, match=r"invisible|unicode"):
        tenant_entry(name=name)
    assert tenant_entry(name="测试　机构（虚构）").name == "测试　机构（虚构）"
