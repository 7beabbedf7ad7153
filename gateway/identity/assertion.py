"""Rules for a client assertion (RFC 7523, FAPI 2.0 §5.3.2): what the text alone must satisfy.

Nothing here knows whether the client exists, so each refusal may have its own code without telling
anything about the directory. `now` is an argument.

- `alg` is ES256, PS256 or EdDSA/Ed25519; no `crit`, no key or key address inside the header.
- `iss` = `sub` = the client; `aud` is the issuer identifier, a string, nothing else.
- `exp` in the future and at most 5 minutes after `iat` (or from now, where there is none); `iat`
  and `nbf` at most 10 s ahead of us.
- `jti` is there; using it once is the replay guard's part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.identity.jose import ALGORITHMS, Compact, MalformedToken, parse_compact

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = 300
LEEWAY = 10
_LONGEST_TEXT = 8192
_TYPES = (None, "JWT", "jwt", "client-authentication+jwt")
_FORBIDDEN_HEADERS = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64"})


class AssertionRefused(ValueError):
    """The assertion is refused; `code` says why and depends on the assertion's text alone."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Assertion:
    """A well-formed assertion whose signature is still to be checked."""

    client_id: str
    jti: str
    expires: datetime
    algorithm: str
    kid: str | None
    compact: Compact


def read_assertion(text: str, issuer: str, now: datetime) -> Assertion:
    """Everything that can be checked without knowing the client."""
    try:
        if len(text) > _LONGEST_TEXT:
            raise MalformedToken("too long")
        compact = parse_compact(text)
    except MalformedToken as error:
        raise AssertionRefused(
            "assertion_malformed", "The client assertion is not a signed JWT."
        ) from error
    algorithm, kid = _read_header(compact.header)
    client_id, jti = _read_names(compact.claims, issuer)
    expires = _read_times(compact.claims, now)
    return Assertion(client_id, jti, expires, algorithm, kid, compact)


def _read_header(header: dict[str, Any]) -> tuple[str, str | None]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise AssertionRefused(
            "assertion_algorithm", f"Sign the client assertion with {', '.join(ALGORITHMS)}."
        )
    if _FORBIDDEN_HEADERS & header.keys() or header.get("typ") not in _TYPES:
        raise AssertionRefused(
            "assertion_header", "The assertion's header may hold alg, kid and typ JWT, no more."
        )
    if kid is not None and not isinstance(kid, str):
        raise AssertionRefused("assertion_header", "kid must be a string.")
    return algorithm, kid


def _read_names(claims: dict[str, Any], issuer: str) -> tuple[str, str]:
    client_id, jti = claims.get("sub"), claims.get("jti")
    if not isinstance(client_id, str) or not client_id or claims.get("iss") != client_id:
        raise AssertionRefused("assertion_subject", "iss and sub must both be the client_id.")
    if claims.get("aud") != issuer:
        # A list, even of one, is refused: FAPI 2.0 §5.3.2.1 wants the issuer as a string.
        raise AssertionRefused(
            "assertion_audience", f"aud must be the issuer identifier {issuer} as a string."
        )
    if not isinstance(jti, str) or not 1 <= len(jti) <= 256:
        raise AssertionRefused("assertion_jti", "jti must be a string of 1 to 256 characters.")
    return client_id, jti


def _read_times(claims: dict[str, Any], now: datetime) -> datetime:
    at = now.timestamp()
    # RFC 7523 leaves iat to the client; without it the life is counted from now.
    issued, expires = _instant(claims.get("iat", at)), _instant(claims.get("exp"))
    not_before = _instant(claims.get("nbf", issued))
    if issued is None or expires is None or not_before is None:
        raise AssertionRefused("assertion_times", "exp must be there; exp, iat, nbf are seconds.")
    if expires <= at - LEEWAY:
        raise AssertionRefused("assertion_expired", "The client assertion has expired.")
    if max(issued, not_before) > at + LEEWAY:
        raise AssertionRefused(
            "assertion_not_yet_valid", "The client assertion is from the future; check the clock."
        )
    if expires - issued > LONGEST_LIFE:
        raise AssertionRefused(
            "assertion_lifetime", f"exp may be at most {LONGEST_LIFE} s after iat."
        )
    # Kept as long as the text could be accepted: exp plus the leeway granted on it.
    return datetime.fromtimestamp(math.ceil(expires), UTC) + timedelta(seconds=LEEWAY)


def _instant(value: object) -> float | None:
    """A NumericDate between 1970 and 9999; booleans, NaN, strings and larger numbers are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 253_402_300_000 else None
