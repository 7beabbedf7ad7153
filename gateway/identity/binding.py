"""What a sender presents beside its token: proofs, certificate, address; and what is registered.

`Presented` is a value of the HTTP edge (`gateway.api.presented`); nothing in it is believed yet
but the certificate, which the TLS layer or a trusted proxy has verified against the client CA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from cryptography import x509

from gateway.identity.jose import encode_segment
from gateway.identity.model import Tenant

Network: TypeAlias = IPv4Network | IPv6Network

_LONGEST_ADDRESS = 64  # characters: an IPv6 address and the name of an interface


@dataclass(frozen=True, slots=True)
class ClientCert:
    """A client certificate as far as RFC 8705 asks for it."""

    thumbprint: str
    """base64url SHA-256 of the DER encoding: `x5t#S256`."""
    subject_dn: str
    """Distinguished name as RFC 4514 writes it."""
    san_dns: tuple[str, ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class Presented:
    """One request as its sender can be held to it; `url` is issuer and path, without a query."""

    method: str
    url: str
    dpop: tuple[str, ...] = ()
    """Every DPoP header of the request; a good request has at most one."""
    cert: ClientCert | None = None
    ip: str = ""
    query: str = ""
    """With its question mark, as it was sent."""
    fields: Iterable[tuple[bytes, bytes]] = ()
    """The request's header fields as they came, for who verifies its signature."""


@lru_cache(maxsize=4096)
def read_certificate(der: bytes, *, verified: bool) -> ClientCert:
    """The certificate's names and thumbprint; raises `ValueError` for what is no certificate."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        san_dns = tuple(names.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        san_dns = ()
    thumbprint = encode_segment(hashlib.sha256(der).digest())
    return ClientCert(thumbprint, certificate.subject.rfc4514_string(), san_dns, verified)


def sender_is_registered(tenant: Tenant, presented: Presented) -> bool:
    """Whether the address and the certificate are among those the tenant has registered.

    The rule of policy code D101, for where no policy is asked: a tenant without any registered
    address or certificate cannot send; each list that is not empty must have the sender.
    """
    if not tenant.source_ips and not tenant.cert_thumbprints:
        return False
    thumbprint = presented.cert.thumbprint if presented.cert and presented.cert.verified else None
    known = not tenant.cert_thumbprints or thumbprint in tenant.cert_thumbprints
    return known and (
        not tenant.source_ips or is_within(presented.ip, networks_of(tenant.source_ips))
    )


@dataclass(frozen=True)
class TrustedProxies:
    """Which peers may speak for another sender, and in which header they hand its certificate on.

    None by default: then every such header is what a stranger wrote and is not read.
    """

    networks: tuple[Network, ...] = ()
    cert_header: str = "client-cert"

    def trusts(self, peer: str) -> bool:
        return bool(self.networks) and is_within(peer, self.networks)


@lru_cache(maxsize=4096)
def networks_of(ranges: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and ranges as networks."""
    return tuple(ip_network(each, strict=False) for each in ranges)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether the text is an address of one of the networks."""
    parsed = _address(address)
    if parsed is None:
        return False
    return any(parsed.version == each.version and parsed in each for each in networks)


def is_address(text: str) -> bool:
    """Whether the text is one IP address."""
    return _address(text) is not None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address behind a text; a longer text than any address is not even remembered."""
    return _read_address(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
