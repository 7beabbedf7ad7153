"""Access tokens: lean JWTs of RFC 9068, signed by the ring's current key.

`cnf` is the place of a DPoP or mTLS binding; a token with one is refused by a verifier that was
given no proof of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.identity.jose import sign_es256
from gateway.identity.keyring import ALGORITHM, Ring

TOKEN_TYPE = "at+jwt"  # noqa: S105 — a media type, no secret


@dataclass(frozen=True)
class TokenRule:
    """What every access token of this server says about where and how long it is good."""

    issuer: str
    audience: str
    env: str
    ttl_seconds: int


def issue_token(
    rule: TokenRule,
    ring: Ring,
    *,
    client_id: str,
    tenant_id: str,
    now: datetime,
    cnf: Mapping[str, str] | None = None,
) -> str:
    """A signed access token for a client acting for its tenant."""
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": rule.issuer,
        "sub": client_id,
        "aud": rule.audience,
        "client_id": client_id,
        "tenant": tenant_id,
        "env": rule.env,
        "iat": issued,
        "exp": issued + rule.ttl_seconds,
        "jti": secrets.token_urlsafe(16),
    }
    if cnf is not None:
        claims["cnf"] = dict(cnf)
    return sign_es256(ring.signing, {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": ring.kid}, claims)
