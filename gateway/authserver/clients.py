"""Client authentication: `private_key_jwt` or `tls_client_auth`, and nothing else.

Authlib is too lenient here for FAPI 2.0 (algorithms, audience, life, single use), so this module
stands in its place. A client that does not exist costs the same work as one that does: its
signature is checked against a decoy key, and every refusal that depends on the directory is one
and the same answer.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from authlib.oauth2.rfc6749 import ClientMixin
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.authserver.errors import (
    ClientRefused,
    Refused,
    invalid_request,
    unknown_client,
    wrong_method,
)
from gateway.authserver.parts import Parts
from gateway.identity.assertion import (
    ASSERTION_TYPE,
    Assertion,
    AssertionRefused,
    read_assertion,
)
from gateway.identity.binding import ClientCert, Presented, sender_is_registered
from gateway.identity.jose import (
    MalformedToken,
    PublicKey,
    parse_compact,
    signature_is_valid,
)
from gateway.identity.jwks import RSA_BITS, RSA_EXPONENT, VerificationKey, choose_key
from gateway.identity.model import Client, Tenant
from gateway.identity.tokens import JKT, X5T

AUTH_FIELDS = frozenset({"client_assertion", "client_assertion_type"})
PRIVATE_KEY_JWT = "private_key_jwt"
TLS_CLIENT_AUTH = "tls_client_auth"
METHODS = (PRIVATE_KEY_JWT, TLS_CLIENT_AUTH)
NO_NAME = "no name"


class OAuthClient(ClientMixin):  # type: ignore[misc] # Authlib has no types
    """A client of the directory in Authlib's terms."""

    def __init__(self, client: Client, tenant: Tenant) -> None:
        self.record = client
        self.tenant = tenant
        self.client_id = client.id

    def get_client_id(self) -> str:
        """Its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """There is no default: FAPI 2.0 wants the redirect URI in every pushed request."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Scopes are checked where they are pushed."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exactly one of the registered texts."""
        return redirect_uri in self.record.redirect_uris

    def check_response_type(self, response_type: str) -> bool:
        """Codes only, and only for clients registered for them."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """As registered."""
        return grant_type in self.record.grant_types


def find_client(parts: Parts, client_id: str) -> OAuthClient | None:
    """A live client by name: for those who have proved, or need not prove, to be it."""
    snapshot = parts.directory.snapshot
    tenant = snapshot.live_clients.get(client_id)
    return OAuthClient(snapshot.clients[client_id], tenant) if tenant else None


def claimed_client(form: Mapping[str, str]) -> str:
    """Whom the form claims to come from; only for counting failures."""
    if "client_assertion" not in form:
        return form.get("client_id", "")[:64]
    try:
        claimed = parse_compact(form["client_assertion"]).claims.get("sub")
    except MalformedToken:
        return ""
    return claimed[:64] if isinstance(claimed, str) else ""


@dataclass(frozen=True)
class Identified:
    """A client that proved to be the sender; its assertion is still to be used up."""

    client: OAuthClient
    assertion: Assertion | None


def identify(
    parts: Parts, form: Mapping[str, str], presented: Presented, now: datetime
) -> Identified:
    """The client that proved to be the sender; raises `ClientRefused`."""
    if "client_secret" in form:  # one method only (RFC 6749 section 2.3), and never this one
        raise wrong_method()
    if AUTH_FIELDS & form.keys():
        assertion = _read_assertion(parts, form, now)
        identified = Identified(_signer(parts, assertion), assertion)
    else:
        identified = Identified(_by_certificate(parts, form, presented.cert), None)
    if not sender_is_registered(identified.client.tenant, presented):
        raise ClientRefused(
            "sender_unregistered",
            "Call from an address, and with a certificate, registered for your organisation.",
        )
    return identified


def replayed() -> ClientRefused:
    """The assertion was used before."""
    return ClientRefused("assertion_replayed", "This client assertion was used before.")


def _read_assertion(parts: Parts, form: Mapping[str, str], now: datetime) -> Assertion:
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise ClientRefused(
            "assertion_missing", f"Authenticate with client_assertion_type {ASSERTION_TYPE}."
        )
    try:
        assertion = read_assertion(form["client_assertion"], parts.issuer, parts.proofs.theirs(now))
    except AssertionRefused as error:
        raise ClientRefused(error.code, error.description) from error
    if form.get("client_id", assertion.client_id) != assertion.client_id:
        raise ClientRefused("assertion_subject", "client_id is not the assertion's sub.")
    lead = parts.proofs.lead()  # its end by our clock, as that is what sweeps what is remembered
    return replace(assertion, expires=assertion.expires + lead) if lead else assertion


def _signer(parts: Parts, assertion: Assertion) -> OAuthClient:
    """The client whose key signed. Every step is taken for a client that does not exist, too."""
    snapshot, name = parts.directory.snapshot, assertion.client_id
    keys = snapshot.keys.get(name, _DECOY_KEYS)
    chosen = choose_key(keys, assertion.algorithm, assertion.kid)
    if chosen is None and name in snapshot.clients:  # names a stranger invents are not passed on
        parts.unknown_key(name)
    compact = assertion.compact
    key = _fitting(chosen, assertion)
    valid = signature_is_valid(assertion.algorithm, key, compact.signing_input, compact.signature)
    record, tenant = snapshot.clients.get(name, _NOBODY), snapshot.live_clients.get(name)
    right_method = record.auth_method == PRIVATE_KEY_JWT
    mine = chosen is not None and key is chosen.key
    if not (valid and mine and right_method and tenant is not None):
        raise unknown_client()
    return OAuthClient(record, tenant)


def _fitting(chosen: VerificationKey | None, assertion: Assertion) -> PublicKey:
    """The key to check with: the chosen one, or a decoy that costs what the chosen one would.

    An RSA signature is as long as its key. One of another length is checked with a decoy of *its*
    length, so that the time depends on what was sent and not on the size of a registered key.
    """
    if assertion.algorithm != "PS256":
        return chosen.key if chosen else _DECOYS[assertion.algorithm]
    octets = len(assertion.compact.signature)
    decoy = _RSA_DECOYS.get(octets, _SMALLEST_DECOY)
    key = chosen.key if chosen else decoy
    fits = isinstance(key, rsa.RSAPublicKey) and key.key_size == 8 * octets
    return key if fits else decoy


def _by_certificate(parts: Parts, form: Mapping[str, str], cert: ClientCert | None) -> OAuthClient:
    if cert is None or not form.get("client_id"):
        raise ClientRefused(
            "assertion_missing",
            f"Authenticate with client_assertion_type {ASSERTION_TYPE}, or with client_id and"
            " your registered TLS certificate.",
        )
    snapshot, name = parts.directory.snapshot, form["client_id"]
    record, tenant = snapshot.clients.get(name, _NOBODY), snapshot.live_clients.get(name)
    named = _is_named(record, cert)
    right_method = record.auth_method == TLS_CLIENT_AUTH
    if not (cert.verified and named and right_method and tenant is not None):
        raise unknown_client()
    return OAuthClient(record, tenant)


def _is_named(record: Client, cert: ClientCert) -> bool:
    """RFC 8705 section 2.1.2: the one registered name is in the certificate."""
    subject = (record.tls_subject_dn or NO_NAME).encode()
    dns = (record.tls_san_dns or NO_NAME).encode()
    by_subject = hmac.compare_digest(subject, cert.subject_dn.encode())
    by_dns = sum(hmac.compare_digest(dns, name.encode()) for name in cert.san_dns) > 0
    return (by_subject and bool(record.tls_subject_dn)) or (by_dns and bool(record.tls_san_dns))


def binding_of(client: OAuthClient, jkt: str | None, presented: Presented) -> dict[str, str]:
    """The `cnf` of what this client gets now; there is no token without one."""
    if client.record.binding == "mtls":
        if presented.cert is None or not presented.cert.verified:
            raise invalid_request(
                "certificate_missing", "Your tokens are bound to your TLS certificate: present it."
            )
        return {X5T: presented.cert.thumbprint}
    if jkt is None:
        raise Refused("invalid_dpop_proof", "dpop_missing", "Send a DPoP proof of this request.")
    return {JKT: jkt}


def _decoys() -> dict[str, PublicKey]:
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()).public_key(),
        "EdDSA": edwards,
        "Ed25519": edwards,
    }


def _rsa_decoy(bits: int) -> rsa.RSAPublicKey:
    """A key nobody has the other half of, nor could have: any odd number will do to check with."""
    modulus = secrets.randbits(bits) | 1 << (bits - 1) | 1
    return rsa.RSAPublicNumbers(RSA_EXPONENT, modulus).public_key()


_DECOYS = _decoys()
_RSA_DECOYS = {bits // 8: _rsa_decoy(bits) for bits in RSA_BITS}
_SMALLEST_DECOY = _RSA_DECOYS[min(_RSA_DECOYS)]
_DECOY_KEYS = (VerificationKey("no key", frozenset({"ES256"}), _DECOYS["ES256"]),)
_NOBODY = Client("", "", "", {"keys": []}, (), "disabled")
