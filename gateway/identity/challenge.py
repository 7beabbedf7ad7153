"""What a refused caller of the data API is told: one sentence per code, and where to get a token.

The WWW-Authenticate header follows RFC 9449 §7.1 (DPoP), RFC 6750 §3 (Bearer, which here only
certificate-bound tokens use) and RFC 9728 §5.1 (`resource_metadata`).
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Unauthenticated
from gateway.identity.dpop import ProofRefused
from gateway.identity.jose import ALGORITHMS
from gateway.identity.signatures import SignatureRefused

_SAYINGS: dict[str, tuple[str, str]] = {
    "token_missing": (
        "Send an access token: Authorization: DPoP <token>, with its proof in the DPoP header.",
        "缺少访问令牌，请在 Authorization 请求头中以 DPoP 方式提供，并附 DPoP 证明。",
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
        "The access token is bound to a key or certificate that this request does not prove.",
        "本次请求未能证明令牌所绑定的密钥或证书。",
    ),
    "token_revoked": ("The access token is no longer accepted.", "访问令牌已失效。"),
}

TOKEN_CODES = tuple(_SAYINGS)
"""Every reason code an access token can be refused with; proofs have their own."""

_ALGORITHMS = f'algs="{" ".join(ALGORITHMS)}"'


@dataclass(frozen=True)
class Challenge:
    """Refusals of one resource; `metadata_url` is where its metadata is published."""

    metadata_url: str

    def token(self, code: str, *, scheme: str = "DPoP") -> Unauthenticated:
        """Refused for the token itself, or for its binding."""
        english, chinese = _SAYINGS[code]
        error = "" if code == "token_missing" else "invalid_token"
        return Unauthenticated(
            code, english, chinese, www_authenticate=self._header(scheme, error, english)
        )

    def proof(self, refused: ProofRefused) -> Unauthenticated:
        """Refused for the DPoP proof."""
        # RFC 9449 §7.1: a good proof by another key says that the token is not this sender's.
        error = "invalid_token" if refused.code == "dpop_other_key" else refused.error
        return Unauthenticated(
            refused.code,
            refused.description,
            refused.zh,
            www_authenticate=self._header("DPoP", error, refused.description),
        )

    def signature(self, refused: SignatureRefused, *, scheme: str = "DPoP") -> Unauthenticated:
        """Refused for the signature of the request (RFC 9421)."""
        header = self._header(scheme, "invalid_request", refused.description)
        return Unauthenticated(
            refused.code, refused.description, refused.zh, www_authenticate=header
        )

    def _header(self, scheme: str, error: str, description: str) -> str:
        told = [f'error="{error}"', f'error_description="{description}"'] if error else []
        told += [_ALGORITHMS] if scheme == "DPoP" else []
        told.append(f'resource_metadata="{self.metadata_url}"')
        return f"{scheme} {', '.join(told)}"
