"""A gateway that ends TLS itself, on the real clock, and clients with certificates of a test CA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.app import create_app
from gateway.identity.desk import Identity, open_identity
from gateway.identity.requester import Certificates, Participant
from gateway.settings import Settings
from tests.certificates import Authority, Issued, new_authority
from tests.factories_identity import Machine, add_client, new_key, public
from tests.gateway_factory import copy_policies, enter_parties, free_port, running, utc_now


@dataclass(frozen=True)
class TlsGateway:
    """The running gateway, its CA and its clients' certificates."""

    settings: Settings
    identity: Identity
    authority: Authority
    certificates: Mapping[str, Issued]
    machines: Mapping[str, Machine]

    def participant(self, client: str, cert: Issued | None = None) -> Participant:
        """A client with its own certificate, or another's; the `ins-…` ones also have a key."""
        own = cert or self.certificates.get(client)
        machine = self.machines.get(client)
        key = machine.key if machine else None
        certificates = Certificates(self.authority.path, own.path if own else None)
        return Participant(self.settings.base_url, client, key, utc_now, certificates)

    def token(self, client: str) -> str:
        """A token bound to what the client is registered to be bound to."""
        participant = self.participant(client)
        with participant.open() as http:
            return str(participant.token(http)["access_token"])

    def get(
        self, token: str, cert: Issued | None = None, scheme: str = "Bearer", **headers: str
    ) -> httpx.Response:
        """One request with this token on a connection with this certificate."""
        with self.http(cert) as http:
            sent = {"Authorization": f"{scheme} {token}", **headers}
            return http.get("/v1/services", headers=sent)

    def http(self, cert: Issued | None = None) -> httpx.Client:
        """A client that trusts the server and shows this certificate."""
        trust = self.authority.trust(cert)
        return httpx.Client(base_url=self.settings.base_url, verify=trust, timeout=30)


@contextmanager
def tls_serving(home: Path, folder: Path) -> Iterator[TlsGateway]:
    """Serve a home that has releases over TLS; three more clients, bound to certificates.

    `ins-signed` signs assertions, `ins-tls` and `ins-tls2` prove themselves by TLS alone.
    """
    authority = new_authority(folder / "ca")
    server = authority.issue("server", server=True)
    settings = Settings(
        home=home,
        policies=copy_policies(folder / "policies", lookback_months=1200),
        port=free_port(),
        tls_cert=server.path,
        tls_key=server.path,
        client_ca=authority.path,
    )
    machines = enter_parties(settings, utc_now, always=True)
    names = ("ins-signed", "ins-tls", "ins-tls2")
    certificates = {name: authority.issue(name, dns=f"{name}.client.example") for name in names}
    machines |= {"ins-signed": _enter_bound(settings, certificates)}
    app = create_app(settings)
    with running(app, settings, authority.trust()):
        yield TlsGateway(settings, app.state.identity, authority, certificates, machines)


def _enter_bound(settings: Settings, certificates: Mapping[str, Issued]) -> Machine:
    key = new_key()
    identity = open_identity(settings)
    try:
        add_client(identity, "ins-signed", "T-INS", public(key), binding="mtls")
        subject = certificates["ins-tls2"].value.subject_dn
        for client, named in (
            ("ins-tls", {"tls_san_dns": "ins-tls.client.example"}),
            ("ins-tls2", {"tls_subject_dn": subject}),
        ):
            terms = {"auth_method": "tls_client_auth", "binding": "mtls", **named}
            add_client(identity, client, "T-INS", None, **terms)
    finally:
        identity.close()
    return Machine("ins-signed", key, settings.base_url)
