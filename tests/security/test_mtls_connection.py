"""RFC 8705 over real TLS: tokens bound to the certificate of the connection they are sent on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.db.engine import writing
from gateway.db.tables import TenantRow
from gateway.errors import OperatorError
from gateway.identity.jose import parse_compact
from gateway.identity.record import record_change
from tests.certificates import Issued, new_authority
from tests.factories_identity import act
from tests.gateway_factory import copy_home
from tests.tls_gateway import TlsGateway, tls_serving

BOUND = ("ins-signed", "ins-tls", "ins-tls2")


@pytest.fixture(scope="module")
def gateway(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsGateway]:
    folder = tmp_path_factory.mktemp("tls")
    with tls_serving(copy_home(released_home, folder / "home"), folder) as running:
        yield running


def refused(reply: httpx.Response, code: str = "token_binding") -> None:
    assert (reply.status_code, reply.json()["code"]) == (401, code), reply.text


@pytest.mark.parametrize("client", BOUND)
def test_rfc8705_3_a_token_names_the_certificate_and_works_with_it(
    gateway: TlsGateway, client: str
) -> None:
    cert = gateway.certificates[client]
    token = gateway.token(client)

    claims = parse_compact(token).claims
    assert claims["cnf"] == {"x5t#S256": cert.value.thumbprint}
    assert gateway.get(token, cert).status_code == 200


def test_the_answer_says_bearer_for_the_connection_is_the_proof(gateway: TlsGateway) -> None:
    participant = gateway.participant("ins-tls")
    with participant.open() as http:
        assert participant.token(http)["token_type"] == "Bearer"
        assert participant.call(http, "GET", "/v1/services").status_code == 200


def test_a_stolen_bound_token_is_worth_nothing(gateway: TlsGateway) -> None:
    token = gateway.token("ins-signed")
    for cert in (None, gateway.certificates["ins-tls"], gateway.authority.issue("thief")):
        reply = gateway.get(token, cert)
        refused(reply)
        assert reply.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_a_new_certificate_of_the_same_name_is_another_certificate(gateway: TlsGateway) -> None:
    token = gateway.token("ins-tls")
    renewed = gateway.authority.issue("ins-tls-renewed", dns="ins-tls.client.example")

    refused(gateway.get(token, renewed))
    fresh = gateway.participant("ins-tls", renewed)
    with fresh.open() as http:
        assert fresh.call(http, "GET", "/v1/services").status_code == 200


def test_a_certificate_bound_token_is_no_dpop_token(gateway: TlsGateway) -> None:
    cert, token = gateway.certificates["ins-signed"], gateway.token("ins-signed")
    participant = gateway.participant("ins-app", cert)
    with participant.open() as http:
        refused(participant.call(http, "GET", "/v1/services", token=token))


def test_a_dpop_bound_token_is_no_bearer_token_even_on_a_client_certificate(
    gateway: TlsGateway,
) -> None:
    refused(gateway.get(gateway.token("ins-app"), gateway.certificates["ins-tls"]))


def test_a_client_without_certificate_uses_dpop_over_the_same_address(gateway: TlsGateway) -> None:
    participant = gateway.participant("ins-app")
    with participant.open() as http:
        assert participant.token(http)["token_type"] == "DPoP"
        assert participant.call(http, "GET", "/v1/services").status_code == 200


def test_a_bound_client_without_its_certificate_gets_no_token(gateway: TlsGateway) -> None:
    machine = gateway.machines["ins-signed"]
    with gateway.http() as http:
        form = machine.form(gateway.identity.clock())
        reply = http.post("/oauth/token", data=form)
        alone = http.post(
            "/oauth/token", data={"grant_type": "client_credentials", "client_id": "ins-tls"}
        )

    assert (reply.status_code, "access_token" in reply.json()) == (400, False)
    assert (alone.status_code, alone.json()["error"]) == (401, "invalid_client")


def test_rfc8705_2_1_another_clients_certificate_is_not_ones_own(gateway: TlsGateway) -> None:
    wrong = [gateway.certificates["ins-tls2"], gateway.authority.issue("ins-tls")]
    for cert in wrong:
        participant = gateway.participant("ins-tls", cert)
        with participant.open() as http, pytest.raises(OperatorError, match="authentication"):
            participant.token(http)


def test_a_client_that_signs_cannot_drop_to_its_certificate(gateway: TlsGateway) -> None:
    with gateway.http(gateway.certificates["ins-signed"]) as http:
        form = {"grant_type": "client_credentials", "client_id": "ins-signed"}
        reply = http.post("/oauth/token", data=form)

    assert (reply.status_code, reply.json()["code"]) == (401, "client_refused")


def unreachable(gateway: TlsGateway, cert: Issued) -> None:
    """The handshake fails; with TLS 1.3 a client learns it at its first read."""
    with gateway.http(cert) as http, pytest.raises(httpx.TransportError):
        http.get("/healthz")


def test_a_certificate_of_another_authority_ends_the_connection(
    gateway: TlsGateway, tmp_path: Path
) -> None:
    unreachable(gateway, new_authority(tmp_path / "elsewhere").issue("ins-tls"))


def test_an_expired_or_future_certificate_ends_the_connection(gateway: TlsGateway) -> None:
    day = timedelta(days=1)
    unreachable(gateway, gateway.authority.issue("old", valid=(-2 * day, -day / 24)))
    unreachable(gateway, gateway.authority.issue("early", valid=(day, 2 * day)))


def test_a_servers_certificate_is_no_clients(gateway: TlsGateway) -> None:
    unreachable(gateway, gateway.authority.issue("another-server", server=True))


def handshake(gateway: TlsGateway, version: ssl.TLSVersion, ciphers: str) -> str | None:
    context = gateway.authority.trust()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    address = ("127.0.0.1", gateway.settings.port)
    with (
        socket.create_connection(address, timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        return tls.version()


def test_bcp195_only_forward_secret_authenticated_ciphers_in_tls_1_2(gateway: TlsGateway) -> None:
    tls12 = ssl.TLSVersion.TLSv1_2

    assert handshake(gateway, tls12, "ECDHE+AESGCM") == "TLSv1.2"
    for weak in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"):
        with pytest.raises(ssl.SSLError):
            handshake(gateway, tls12, weak)


def test_bcp195_nothing_below_tls_1_2(gateway: TlsGateway) -> None:
    with (
        pytest.warns(DeprecationWarning, match="TLSv1_1"),
        pytest.raises((ssl.SSLError, ValueError)),
    ):
        handshake(gateway, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")


def test_a_header_by_the_client_itself_is_no_certificate(gateway: TlsGateway) -> None:
    token, cert = gateway.token("ins-tls"), gateway.certificates["ins-tls"]
    encoded = ssl.DER_cert_to_PEM_cert(cert.der).split("-----")[2].replace("\n", "")

    refused(gateway.get(token, None, **{"Client-Cert": f":{encoded}:"}))
    refused(gateway.get(token, gateway.certificates["ins-tls2"], **{"Client-Cert": f":{encoded}:"}))


def test_connections_keep_their_own_certificates(gateway: TlsGateway) -> None:
    """Several requests on each of two connections, in turn: nothing is carried over."""
    tokens = {client: gateway.token(client) for client in ("ins-tls", "ins-tls2")}
    first, second = (gateway.http(gateway.certificates[client]) for client in tokens)
    with first, second:
        for _ in range(3):
            for http, owner in ((first, "ins-tls"), (second, "ins-tls2")):
                for client, token in tokens.items():
                    headers = {"Authorization": f"Bearer {token}"}
                    status = http.get("/v1/services", headers=headers).status_code
                    assert status == (200 if client == owner else 401)


def set_thumbprints(gateway: TlsGateway, thumbprints: list[str]) -> None:
    with writing(gateway.identity.engine) as session:
        row = session.get(TenantRow, "T-INS")
        assert row is not None
        row.cert_thumbprints = thumbprints
        record_change(session, act(), "update", ("tenant", "T-INS"), before=None, after={})
    gateway.identity.directory.refresh()


def test_a_tenant_that_registered_certificates_is_known_by_no_other(gateway: TlsGateway) -> None:
    bound, other = gateway.token("ins-tls2"), gateway.certificates["ins-tls2"]
    set_thumbprints(gateway, [gateway.certificates["ins-tls"].value.thumbprint])
    try:
        assert gateway.token("ins-tls")
        with pytest.raises(OperatorError, match="sender_unregistered"):
            gateway.token("ins-tls2")
        with pytest.raises(OperatorError, match="sender_unregistered"):
            gateway.token("ins-app")  # DPoP, and no certificate at all
        reply = gateway.get(bound, other)  # a token from before
        assert (reply.status_code, reply.json()["code"]) == (403, "D101")
    finally:
        set_thumbprints(gateway, [])
