"""Access tokens: lean JWTs of RFC 9068, signed by the ring's current key, each bound to a sender.

There is no token without `cnf`: `jkt` names the key of a DPoP proof (RFC 9449), `x5t#S256` a
client certificate (RFC 8705). Whoever steals the token alone has nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.identity.jose import sign_es256
from gateway.identity.keyring import ALGORITHM, Ring

TOKEN_TYPE = "at+jwt"  # noqa: S105 — a media type, no secret
JKT = "jkt"
X5T = "x5t#S256"


@dataclass(frozen=True)
class TokenRule:
    """What every access token of this server says about where and how long it is good."""

    issuer: str
    audience: str
    env: str
    ttl_seconds: int


@dataclass(frozen=True)
class PersonClaims:
    """What a token adds that a person authorised: a pairwise pseudonym and what it hangs on."""

    subject: str
    gid: str
    consent_id: str | None
    authorization_details: Sequence[Mapping[str, object]] = ()


def issue_token(
    rule: TokenRule,
    ring: Ring,
    *,
    client_id: str,
    tenant_id: str,
    now: datetime,
    cnf: Mapping[str, str],
    person: PersonClaims | None = None,
    not_after: datetime | None = None,
    token_id: str | None = None,
) -> str:
    """A signed access token for a client acting for its tenant, never good beyond `not_after`."""
    if cnf.keys() not in ({JKT}, {X5T}):
        raise ValueError("an access token is bound to one key or one certificate")
    issued = int(now.timestamp())
    expires = issued + rule.ttl_seconds
    claims: dict[str, Any] = {
        "iss": rule.issuer,
        "sub": person.subject if person else client_id,
        "aud": rule.audience,
        "client_id": client_id,
        "tenant": tenant_id,
        "env": rule.env,
        "iat": issued,
        "exp": min(expires, int(not_after.timestamp())) if not_after else expires,
        "jti": token_id or secrets.token_urlsafe(16),
        "cnf": dict(cnf),
    }
    if person is not None:
        claims |= _person_claims(person)
    return sign_es256(ring.signing, {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": ring.kid}, claims)


def _person_claims(person: PersonClaims) -> dict[str, object]:
    claims: dict[str, object] = {"gid": person.gid}
    if person.consent_id is not None:
        claims["consent_id"] = person.consent_id
    if person.authorization_details:
        claims["authorization_details"] = [dict(each) for each in person.authorization_details]
    return claims


def token_type_of(cnf: Mapping[str, str]) -> str:
    """The scheme to send a token with: `DPoP`, or `Bearer` where the connection is the proof."""
    return "DPoP" if JKT in cnf else "Bearer"
