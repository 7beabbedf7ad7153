"""Signed request objects (JAR, RFC 9101) as FAPI 2.0 Message Signing §5.3 wants them at PAR.

Signed by a registered key of the client that pushes it; `aud` names this server; `nbf` and `exp`
are there and lie at most an hour back and apart.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.authserver.clients import OAuthClient
from gateway.authserver.errors import Refused
from gateway.authserver.parts import Parts
from gateway.identity.assertion import LEEWAY
from gateway.identity.jose import (
    ALGORITHMS,
    Compact,
    MalformedToken,
    parse_compact,
    signature_is_valid,
)
from gateway.identity.jwks import choose_key

_LONGEST_TEXT = 16_384
_LONGEST_LIFE = 3600
_LATEST = 253_402_300_000  # the year 9999
_TYPES = (None, "JWT", "jwt", "oauth-authz-req+jwt")
_FORBIDDEN_HEADERS = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64"})
_ENVELOPE = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
_NESTED = frozenset({"request", "request_uri"})


def read_request_object(
    parts: Parts, text: str, client: OAuthClient, now: datetime
) -> dict[str, Any]:
    """The parameters a client has signed. Any: claims are whatever JSON it sent."""
    try:
        if len(text) > _LONGEST_TEXT:
            raise MalformedToken("too long")
        compact = parse_compact(text)
    except MalformedToken as error:
        raise _refused("The request object is not a signed JWT.") from error
    _check_signature(parts, compact, client)
    claims = compact.claims
    _check_names(claims, client.client_id, parts.issuer)
    _check_times(claims, parts.proofs.theirs(now).timestamp())
    return {name: value for name, value in claims.items() if name not in _ENVELOPE}


def _check_signature(parts: Parts, compact: Compact, client: OAuthClient) -> None:
    header = compact.header
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _refused(f"Sign the request object with {', '.join(ALGORITHMS)}.")
    if header.get("typ") not in _TYPES or _FORBIDDEN_HEADERS & header.keys():
        raise _refused("A request object's header holds alg, kid and typ oauth-authz-req+jwt.")
    if kid is not None and not isinstance(kid, str):
        raise _refused("A kid is a string.")
    registered = parts.directory.snapshot.keys.get(client.client_id, ())
    chosen = choose_key(registered, algorithm, kid)
    if chosen is None or not signature_is_valid(
        algorithm, chosen.key, compact.signing_input, compact.signature
    ):
        raise _refused("The request object is not signed by a registered key of yours.")


def _check_names(claims: dict[str, Any], client_id: str, issuer: str) -> None:
    audience = claims.get("aud")
    if audience != issuer and not (isinstance(audience, list) and issuer in audience):
        raise _refused(f"The request object's aud must be the issuer identifier {issuer}.")
    if claims.get("iss") != client_id or claims.get("client_id") != client_id:
        raise _refused("The request object's iss and client_id must be your client_id.")
    if "sub" in claims:
        # RFC 9101 §10.8: with a sub, the same text could be shown as a client assertion.
        raise _refused("A request object holds no sub.")
    if _NESTED & claims.keys():
        raise _refused("A request object holds neither request nor request_uri.")


def _check_times(claims: dict[str, Any], at: float) -> None:
    not_before, expires = _instant(claims.get("nbf")), _instant(claims.get("exp"))
    if not_before is None or expires is None:
        raise _refused("The request object needs nbf and exp, in seconds.")
    if not at - _LONGEST_LIFE <= not_before <= at + LEEWAY:
        raise _refused("The request object's nbf must lie within the last hour.")
    if expires <= at - LEEWAY:
        raise _refused("The request object has expired.")
    if expires - not_before > _LONGEST_LIFE:
        raise _refused("The request object's exp may be at most an hour after nbf.")


def _instant(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LATEST else None


def _refused(description: str) -> Refused:
    return Refused("invalid_request_object", "request_object", description)
