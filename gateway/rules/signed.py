"""A rule package as it arrives: a compact JWS by a registered key of the insurer's client.

Header: `alg`, `kid`, `typ: rule-package+jwt`. Claims: `iss` (the client), `aud` (this issuer),
`iat` (within the last day) and `rules`, the package. The bureau keeps the text, so that either side
can show years later whose rules they were.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from gateway.adjudication.model import RulePackage
from gateway.adjudication.reading import RulesUnreadable, read_package
from gateway.errors import BadRequest
from gateway.identity.assertion import LEEWAY
from gateway.identity.jose import (
    ALGORITHMS,
    Compact,
    MalformedToken,
    parse_compact,
    signature_is_valid,
)
from gateway.identity.jwks import VerificationKey, choose_key

TYPE: Final = "rule-package+jwt"
LONGEST: Final = 500_000
_DAY: Final = 86_400
_HEADER: Final = frozenset({"alg", "kid", "typ"})
_CLAIMS: Final = frozenset({"iss", "aud", "iat", "rules"})


class NotSigned(BadRequest):
    title = "Not a signed rule package"


class NotRules(BadRequest):
    title = RulesUnreadable.title


def read_signed(
    text: str, keys: tuple[VerificationKey, ...], *, client: str, issuer: str, now: datetime
) -> RulePackage:
    """The package in a JWS by one of `keys`; raises `NotSigned` or `NotRules`."""
    try:
        if len(text) > LONGEST:
            raise MalformedToken("too long")
        compact = parse_compact(text)
    except MalformedToken:
        raise _wrong(f"the body is a compact JWS of at most {LONGEST} characters") from None
    _check_signature(compact, keys)
    claims = compact.claims
    if set(claims) != _CLAIMS:
        raise _wrong(f"the claims are {', '.join(sorted(_CLAIMS))}")
    if claims["iss"] != client or claims["aud"] != issuer:
        raise _wrong(f"iss is your client_id, aud is {issuer}")
    _check_time(claims["iat"], now.timestamp())
    try:
        return read_package(orjson.dumps(claims["rules"]), "rules")
    except RulesUnreadable as error:
        raise NotRules(error.code, error.message, error.zh) from None
    except TypeError:  # whole numbers beyond 64 bits
        raise NotRules("rules_form", "The rules hold a number that is too large.") from None


@lru_cache(maxsize=64)
def read_kept(text: str) -> RulePackage:
    """The package of a JWS that was checked when it came; its row's seal vouches for it since.
    Every decision reads it, so what was read last is kept."""
    return read_package(orjson.dumps(parse_compact(text).claims["rules"]), "rules")


def _check_signature(compact: Compact, keys: tuple[VerificationKey, ...]) -> None:
    header = compact.header
    algorithm, kid = header.get("alg"), header.get("kid")
    if header.get("typ") != TYPE or not set(header) <= _HEADER:
        raise _wrong(f"the header holds alg, kid and typ {TYPE}, and nothing else")
    if algorithm not in ALGORITHMS or not isinstance(kid, str | None):
        raise _wrong(f"sign it with {', '.join(ALGORITHMS)}")
    chosen = choose_key(keys, algorithm, kid)
    if chosen is None or not signature_is_valid(
        algorithm, chosen.key, compact.signing_input, compact.signature
    ):
        raise _wrong("it is not signed by a registered key of yours")


def _check_time(issued: Any, at: float) -> None:  # Any: whatever JSON was sent
    number = isinstance(issued, int | float) and not isinstance(issued, bool)
    if not number or not at - _DAY <= issued <= at + LEEWAY:
        raise _wrong("iat lies within the last day, in seconds")


def _wrong(what: str) -> NotSigned:
    return NotSigned("rules_signature", f"Not a signed rule package: {what}.", "规则包签名无效。")
