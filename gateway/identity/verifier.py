"""The resource server's check of an access token: complete once, then a look-up by hash.

A token found valid is remembered by its SHA-256 until it expires. Every use, remembered or not,
still proves its sender (a DPoP proof of this very request, or the client certificate of this
connection), and asks two memories that follow the database: is it revoked, are its client and
tenant active. Both refuse to answer when they are more than 5 s behind.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.identity.binding import Presented
from gateway.identity.caller import Caller
from gateway.identity.challenge import Challenge
from gateway.identity.directory import Directory
from gateway.identity.dpop import ProofChecker, ProofRefused
from gateway.identity.jose import Compact, MalformedToken, parse_compact, signature_is_valid
from gateway.identity.keyring import ALGORITHM, Ring
from gateway.identity.model import Tenant
from gateway.identity.revocation import Revocations
from gateway.identity.signatures import (
    Asked,
    Headers,
    SignatureRefused,
    carries_signature,
    check_request,
    of_nonce,
)
from gateway.identity.tokens import JKT, TOKEN_TYPE, X5T, TokenRule

LEEWAY = 5
_LONGEST_HEADER = 4096
_LONGEST_LIFE = 900  # the most that settings allow
_MOST_REMEMBERED = 10_000
_FORBIDDEN_HEADERS = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64"})


@dataclass(frozen=True, slots=True)
class _Person:
    """What a token says that a person authorised."""

    subject: str
    gid: str
    consent_id: str | None
    details: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class _Proved:
    """What a completely checked token said."""

    client_id: str
    tenant_id: str
    token_id: str
    issued: int
    expires: int
    jkt: str | None  # bound to a key, else
    x5t: str | None  # to a certificate
    person: _Person | None


class Verifier:
    """Turns what a request presents into a caller, or refuses with a stable code."""

    def __init__(
        self,
        rule: TokenRule,
        directory: Directory,
        *,
        revocations: Revocations,
        proofs: ProofChecker,
        ring: Callable[[], Ring],
        metadata_url: str,
    ) -> None:
        self._rule = rule
        self._directory = directory
        self._revocations = revocations
        self._proofs = proofs
        self._ring = ring
        self._challenge = Challenge(metadata_url)
        self._remembered: dict[bytes, _Proved] = {}

    def verify(self, authorization: str | None, presented: Presented, now: datetime) -> Caller:
        """The caller the request proves; raises `Unauthenticated` with the code of what is wrong.

        For a token bound to a key the proof of this request is used up by asking.
        """
        self._directory.check_fresh()
        self._revocations.check_fresh()
        scheme, token = self._credentials(authorization)
        proved = self._proved(token, now.timestamp())
        self._check_sender(proved, scheme, token, presented, now)
        tenant = self._live_tenant(proved)
        self._check_signature_of(presented, proved, tenant, now)
        return self._caller(proved, tenant, presented)

    def _credentials(self, authorization: str | None) -> tuple[str, str]:
        if authorization is None or not authorization.strip():
            raise self._challenge.token("token_missing")
        scheme, _, token = authorization.partition(" ")
        well_formed = token.isascii() and token.isprintable() and " " not in token
        if scheme.lower() not in ("dpop", "bearer") or not token or not well_formed:
            raise self._challenge.token("token_malformed")
        if len(token) > _LONGEST_HEADER:
            raise self._challenge.token("token_malformed")
        return scheme.lower(), token

    def _proved(self, token: str, at: float) -> _Proved:
        digest = hashlib.sha256(token.encode()).digest()
        proved = self._remembered.get(digest)
        if proved is None:
            proved = self._prove(token)
            self._remember(digest, proved, at)
        if at >= proved.expires:
            raise self._challenge.token("token_expired")
        if at < proved.issued - LEEWAY:
            raise self._challenge.token("token_not_yet_valid")
        return proved

    def _check_sender(
        self, proved: _Proved, scheme: str, token: str, presented: Presented, now: datetime
    ) -> None:
        """The sender of this request is whom the token was issued to."""
        if proved.jkt is None:
            self._check_certificate(proved.x5t or "", scheme, presented)
            return
        if scheme != "dpop":  # RFC 9449 §7.2: never as a bearer token
            raise self._challenge.token("token_binding")
        try:
            self._proofs.check(presented, now, access_token=token, jkt=proved.jkt)
        except ProofRefused as refused:
            raise self._challenge.proof(refused) from refused

    def _check_certificate(self, x5t: str, scheme: str, presented: Presented) -> None:
        cert = presented.cert
        shown = cert.thumbprint if cert and cert.verified else ""
        if scheme != "bearer" or not hmac.compare_digest(shown, x5t):
            raise self._challenge.token("token_binding", scheme="Bearer")

    def _check_signature_of(
        self, presented: Presented, proved: _Proved, tenant: Tenant, now: datetime
    ) -> None:
        """The request's own signature (RFC 9421), where it has one or its tenant promised one."""
        if not tenant.signed_requests and not carries_signature(presented.fields):
            return
        headers = Headers(presented.fields)
        asked = Asked(presented.method, presented.url + presented.query, headers)
        if not tenant.signed_requests and not asked.is_signed:
            return
        keys = self._directory.snapshot.keys[proved.client_id]
        try:
            held = {each.kid: each.key for each in keys}
            good = check_request(asked, held, self._proofs.theirs(now))
            self._proofs.use_nonce(good.nonce, good.name, now)
        except (SignatureRefused, ProofRefused) as refused:
            scheme = "DPoP" if proved.jkt else "Bearer"
            raise self._challenge.signature(of_nonce(refused), scheme=scheme) from refused

    def _live_tenant(self, proved: _Proved) -> Tenant:
        tenant = self._directory.snapshot.live_clients.get(proved.client_id)
        if tenant is None or tenant.id != proved.tenant_id or self._is_revoked(proved):
            raise self._challenge.token("token_revoked", scheme="DPoP" if proved.jkt else "Bearer")
        return tenant

    def _is_revoked(self, proved: _Proved) -> bool:
        person = proved.person
        return self._revocations.is_revoked(
            proved.token_id,
            proved.client_id,
            person.gid if person else None,
            person.consent_id if person else None,
            issued=proved.issued,
        )

    def _caller(self, proved: _Proved, tenant: Tenant, presented: Presented) -> Caller:
        person, cert = proved.person, presented.cert
        return Caller(
            tenant.id,
            tenant.type,
            proved.client_id,
            self._rule.env,
            presented.ip,
            proved.token_id,
            cert.thumbprint if cert and cert.verified else None,
            subject=person.subject if person else None,
            gid=person.gid if person else None,
            consent_id=person.consent_id if person else None,
            authorization_details=person.details if person else None,
        )

    def _prove(self, token: str) -> _Proved:
        try:
            compact = parse_compact(token)
        except MalformedToken as error:
            raise self._challenge.token("token_malformed") from error
        self._check_signature(compact)
        return self._read_claims(compact.claims)

    def _check_signature(self, compact: Compact) -> None:
        header = compact.header
        if header.get("alg") != ALGORITHM:
            raise self._challenge.token("token_algorithm")
        if header.get("typ") != TOKEN_TYPE:
            raise self._challenge.token("token_type")
        kid = header.get("kid")
        if not isinstance(kid, str) or _FORBIDDEN_HEADERS & header.keys():
            raise self._challenge.token("token_malformed")
        key = self._ring().verifying.get(kid)
        if key is None:
            raise self._challenge.token("token_key")
        if not signature_is_valid(ALGORITHM, key, compact.signing_input, compact.signature):
            raise self._challenge.token("token_signature")

    def _read_claims(self, claims: dict[str, Any]) -> _Proved:
        rule = self._rule
        if claims.get("iss") != rule.issuer:
            raise self._challenge.token("token_issuer")
        if claims.get("aud") != rule.audience:
            raise self._challenge.token("token_audience")
        if claims.get("env") != rule.env:
            raise self._challenge.token("token_environment")
        client_id, tenant_id, token_id = (
            self._text(claims, name) for name in ("client_id", "tenant", "jti")
        )
        issued, expires = (self._instant(claims, name) for name in ("iat", "exp"))
        if expires - issued > _LONGEST_LIFE:
            raise self._challenge.token("token_lifetime")
        jkt, x5t = self._binding(claims.get("cnf"))
        person = self._person(claims, client_id)
        return _Proved(client_id, tenant_id, token_id, issued, expires, jkt, x5t, person)

    def _text(self, claims: dict[str, Any], name: str) -> str:
        value = claims.get(name)
        if not isinstance(value, str) or not value:
            raise self._challenge.token("token_claims")
        return value

    def _instant(self, claims: dict[str, Any], name: str) -> int:
        value = claims.get(name)
        if type(value) is not int:
            raise self._challenge.token("token_claims")
        return value

    def _binding(self, cnf: object) -> tuple[str | None, str | None]:
        """Key or certificate, exactly one: there is no token that anybody may send."""
        if isinstance(cnf, dict) and len(cnf) == 1:
            jkt, x5t = cnf.get(JKT), cnf.get(X5T)
            if isinstance(jkt or x5t, str):
                return jkt, x5t
        raise self._challenge.token("token_claims")

    def _person(self, claims: dict[str, Any], client_id: str) -> _Person | None:
        """Whom the client acts for; a token without an authorisation is the client's own."""
        subject = self._text(claims, "sub")
        if "gid" not in claims:
            if subject != client_id or {"consent_id", "authorization_details"} & claims.keys():
                raise self._challenge.token("token_claims")
            return None
        consent = self._text(claims, "consent_id") if "consent_id" in claims else None
        details = claims.get("authorization_details", [])
        if not isinstance(details, list) or not all(isinstance(each, dict) for each in details):
            raise self._challenge.token("token_claims")
        return _Person(subject, self._text(claims, "gid"), consent, tuple(details))

    def _remember(self, digest: bytes, proved: _Proved, at: float) -> None:
        if len(self._remembered) >= _MOST_REMEMBERED:
            live = {key: kept for key, kept in self._remembered.items() if kept.expires > at}
            # Dropping everything costs each live token one more full check, and bounds the memory.
            self._remembered = live if len(live) < _MOST_REMEMBERED else {}
        self._remembered[digest] = proved
