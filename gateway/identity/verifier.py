"""The resource server's check of an access token: complete once, then a look-up by hash.

A token found valid is remembered by its SHA-256 until it expires. Every use, remembered or not,
still asks the directory's snapshot whether client and tenant are active, so a suspension holds from
the moment the snapshot is replaced (well under a second), whatever is remembered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.errors import Unauthenticated
from gateway.identity.caller import Caller
from gateway.identity.directory import Directory
from gateway.identity.jose import Compact, MalformedToken, parse_compact, signature_is_valid
from gateway.identity.keyring import ALGORITHM, Ring
from gateway.identity.tokens import TOKEN_TYPE, TokenRule

LEEWAY = 5
_LONGEST_HEADER = 4096
_LONGEST_LIFE = 900  # the most that settings allow
_MOST_REMEMBERED = 10_000
_FORBIDDEN_HEADERS = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64"})

_SAYINGS: dict[str, tuple[str, str]] = {
    "token_missing": (
        "Send an access token: Authorization: Bearer <token>.",
        "缺少访问令牌，请在 Authorization 请求头中以 Bearer 方式提供。",
    ),
    "token_malformed": ("The access token is not of the expected form.", "访问令牌格式不正确。"),
    "token_type": ("This token is not an access token (typ at+jwt).", "该令牌不是访问令牌。"),
    "token_algorithm": ("The access token is signed with another algorithm.", "签名算法不被接受。"),
    "token_key": ("The access token names a key this server does not know.", "签名密钥未知。"),
    "token_signature": ("The access token's signature is wrong.", "访问令牌签名不正确。"),
    "token_issuer": ("The access token is from another issuer.", "访问令牌不是本系统签发的。"),
    "token_audience": ("The access token is for another resource.", "访问令牌不适用于本接口。"),
    "token_environment": ("The access token is for another environment.", "访问令牌的环境不符。"),
    "token_claims": ("The access token lacks a required claim.", "访问令牌缺少必要的声明。"),
    "token_expired": (
        "The access token has expired; fetch a new one.",
        "访问令牌已过期，请重新获取。",
    ),
    "token_not_yet_valid": ("The access token is not valid yet.", "访问令牌尚未生效。"),
    "token_lifetime": (
        "The access token lives longer than allowed.",
        "访问令牌有效期超出允许范围。",
    ),
    "token_binding": (
        "The access token is bound to a key that was not proved.",
        "缺少令牌绑定证明。",
    ),
    "token_revoked": ("The access token is no longer accepted.", "访问令牌已失效。"),
}

TOKEN_CODES = tuple(_SAYINGS)
"""Every reason code a verifier can give."""


@dataclass(frozen=True, slots=True)
class _Proved:
    """What a completely checked token said."""

    client_id: str
    tenant_id: str
    token_id: str
    not_before: float
    expires: float


class Verifier:
    """Turns an Authorization header into a caller, or refuses with a stable code."""

    def __init__(
        self, rule: TokenRule, directory: Directory, ring: Callable[[], Ring], metadata_url: str
    ) -> None:
        self._rule = rule
        self._directory = directory
        self._ring = ring
        self._metadata_url = metadata_url
        self._remembered: dict[bytes, _Proved] = {}

    def verify(self, authorization: str | None, ip: str, now: datetime) -> Caller:
        """The caller the header proves; raises `Unauthenticated` with the code of what is wrong."""
        self._directory.check_fresh()
        token = self._bearer(authorization)
        digest = hashlib.sha256(token.encode()).digest()
        at = now.timestamp()
        proved = self._remembered.get(digest)
        if proved is None:
            proved = self._prove(token, at)
            self._remember(digest, proved, at)
        if at >= proved.expires:
            raise self._refusal("token_expired")
        if at < proved.not_before:
            raise self._refusal("token_not_yet_valid")
        tenant = self._directory.snapshot.live_clients.get(proved.client_id)
        if tenant is None or tenant.id != proved.tenant_id:
            raise self._refusal("token_revoked")
        return Caller(tenant.id, tenant.type, proved.client_id, self._rule.env, ip, proved.token_id)

    def _bearer(self, authorization: str | None) -> str:
        if authorization is None or not authorization.strip():
            raise self._refusal("token_missing")
        scheme, _, token = authorization.partition(" ")
        well_formed = token.isascii() and token.isprintable() and " " not in token
        if scheme.lower() != "bearer" or not token or not well_formed:
            raise self._refusal("token_malformed")
        if len(token) > _LONGEST_HEADER:
            raise self._refusal("token_malformed")
        return token

    def _prove(self, token: str, at: float) -> _Proved:
        try:
            compact = parse_compact(token)
        except MalformedToken as error:
            raise self._refusal("token_malformed") from error
        self._check_signature(compact)
        return self._read_claims(compact.claims, at)

    def _check_signature(self, compact: Compact) -> None:
        header = compact.header
        if header.get("alg") != ALGORITHM:
            raise self._refusal("token_algorithm")
        if header.get("typ") != TOKEN_TYPE:
            raise self._refusal("token_type")
        kid = header.get("kid")
        if not isinstance(kid, str) or _FORBIDDEN_HEADERS & header.keys():
            raise self._refusal("token_malformed")
        key = self._ring().verifying.get(kid)
        if key is None:
            raise self._refusal("token_key")
        if not signature_is_valid(ALGORITHM, key, compact.signing_input, compact.signature):
            raise self._refusal("token_signature")

    def _read_claims(self, claims: dict[str, Any], at: float) -> _Proved:
        rule = self._rule
        if claims.get("iss") != rule.issuer:
            raise self._refusal("token_issuer")
        if claims.get("aud") != rule.audience:
            raise self._refusal("token_audience")
        if claims.get("env") != rule.env:
            raise self._refusal("token_environment")
        if "cnf" in claims:
            raise self._refusal("token_binding")
        names = [claims.get(name) for name in ("client_id", "tenant", "jti", "sub")]
        times = [claims.get(name) for name in ("iat", "exp")]
        client_id, tenant_id, token_id, subject = (str(name) for name in names)
        whole = all(isinstance(name, str) and name for name in names) and subject == client_id
        if not whole or not all(type(time) is int for time in times):
            raise self._refusal("token_claims")
        issued, expires = int(claims["iat"]), int(claims["exp"])
        if at >= expires:
            raise self._refusal("token_expired")
        if expires - issued > _LONGEST_LIFE:
            raise self._refusal("token_lifetime")
        return _Proved(client_id, tenant_id, token_id, issued - LEEWAY, expires)

    def _remember(self, digest: bytes, proved: _Proved, at: float) -> None:
        if len(self._remembered) >= _MOST_REMEMBERED:
            live = {key: kept for key, kept in self._remembered.items() if kept.expires > at}
            # Dropping everything costs each live token one more full check, and bounds the memory.
            self._remembered = live if len(live) < _MOST_REMEMBERED else {}
        self._remembered[digest] = proved

    def _refusal(self, code: str) -> Unauthenticated:
        english, chinese = _SAYINGS[code]
        return Unauthenticated(code, english, chinese, www_authenticate=self._challenge(code))

    def _challenge(self, code: str) -> str:
        """Value of WWW-Authenticate (RFC 6750 §3, RFC 9728 §5.1)."""
        where = f'resource_metadata="{self._metadata_url}"'
        if code == "token_missing":
            return f"Bearer {where}"
        return f'Bearer error="invalid_token", error_description="{_SAYINGS[code][0]}", {where}'
