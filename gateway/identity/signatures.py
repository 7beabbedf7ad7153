"""Signatures of HTTP messages (RFC 9421) and the digest of their content (RFC 9530).

What is signed follows the FAPI 2.0 HTTP Signatures profile: of a request method, address, token,
proof and content, by a key registered for its client; of an answer status and content together with
the request it answers, by the key that signs tokens. `http_message_signatures` writes down what is
signed and computes; what has to be covered, by which key, when and how often is decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import http_sf
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    MappingKeyResolver,
    algorithms,
)

from gateway.errors import BadRequest
from gateway.identity.dpop import ProofRefused
from gateway.identity.jose import PublicKey
from gateway.identity.keyring import Ring

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]

REQUEST_TAG: Final = "fapi-2-request"
RESPONSE_TAG: Final = "fapi-2-response"
SKEW: Final = 60
"""Seconds a signature's `created` may lie before or after our clock; the nonce proves freshness."""
REPLAYED: Final = "dpop_replayed"
ASKS_FOR_NONCE: Final = "signature_nonce"
"""The one code that is no failure: the sender could not know the nonce yet."""
_LONGEST: Final = 8192
_LONGEST_NONCE: Final = 128
_LATEST: Final = 253_402_300_000  # the year 9999
_PARAMETERS: Final = frozenset({"created", "expires", "keyid", "nonce", "tag", "alg"})
_ALWAYS: Final = ("@method", "@target-uri", "authorization")
_SAYINGS: dict[str, tuple[str, str]] = {
    "signature_missing": (
        "This organisation signs its requests: send Signature-Input and Signature (RFC 9421) with "
        f"the tag {REQUEST_TAG}.",
        "贵机构登记为须对请求签名：请提供 Signature-Input 与 Signature 请求头。",
    ),
    "signature_malformed": (
        "Signature-Input and Signature must hold one signature (RFC 9421) of this tag, with "
        "created, keyid and nonce.",
        "请求签名的格式不正确，或缺少 created、keyid、nonce 参数。",
    ),
    "signature_key": (
        "The signature's keyid names no key that is registered for this client.",
        "请求签名的 keyid 不是该应用登记的密钥。",
    ),
    "signature_components": (
        "The signature must cover @method, @target-uri, authorization, dpop where it is sent, and "
        "content-digest where there is a body.",
        "请求签名须覆盖方法、地址、令牌、DPoP 证明（如有）与正文摘要（如有正文）。",
    ),
    "signature_time": (
        f"The signature's created must be within {SKEW} s of now and its expires not over; check "
        "the clock.",
        "请求签名的时间偏差过大或已过期，请校准时钟。",
    ),
    ASKS_FOR_NONCE: (
        "Sign again with a nonce made of the DPoP-Nonce header, a dot and characters of your own.",
        "请以 DPoP-Nonce 响应头中的随机数、一个点及自选字符组成 nonce 并重新签名。",
    ),
    "signature_invalid": (
        "The signature does not fit this request: a part of it was changed, or another key signed.",
        "请求签名与请求内容不符。",
    ),
    "signature_replayed": ("This signed request was received before.", "该签名请求已被使用过。"),
}
SIGNATURE_CODES: Final = tuple(_SAYINGS)
"""Every reason code a request's signature can be refused with."""


class SignatureRefused(ValueError):
    """A request's signature is refused; `code` says exactly why."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.description, self.zh = _SAYINGS[code]
        super().__init__(self.description)


def of_nonce(refused: SignatureRefused | ProofRefused) -> SignatureRefused:
    """What a refused nonce is called here: signatures share the nonces of proofs."""
    if isinstance(refused, SignatureRefused):
        return refused
    return SignatureRefused("signature_replayed" if refused.code == REPLAYED else ASKS_FOR_NONCE)


class DigestRefused(BadRequest):
    """The content is not the one its Content-Digest names."""

    def __init__(self) -> None:
        super().__init__(
            "content_digest",
            "Content-Digest must be of this very body, by sha-256 or sha-512 (RFC 9530).",
            "Content-Digest 须为本请求正文的 sha-256 或 sha-512 摘要。",
        )


class Headers:
    """Fields of a message in their order, as the library reads and writes them."""

    def __init__(self, fields: Fields = ()) -> None:
        self.lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]

    def items(self) -> list[tuple[str, str]]:
        return self.lines

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self.lines))

    def __contains__(self, name: str) -> bool:
        return any(each.lower() == name.lower() for each, _ in self.lines)

    def __setitem__(self, name: str, value: str) -> None:
        self.lines.append((name, value))

    def __delitem__(self, name: str) -> None:
        self.lines = [one for one in self.lines if one[0].lower() != name.lower()]

    def get(self, name: str) -> str:
        """All lines of this name as one; empty where there is none."""
        return ", ".join(value for each, value in self.lines if each.lower() == name)


def carries_signature(fields: Fields) -> bool:
    """Whether a request has any signature: cheap, since every request is asked."""
    return any(name == b"signature-input" for name, _ in fields)


@dataclass(frozen=True)
class Asked:
    """A request as it is signed; `url` is its public address with the query."""

    method: str
    url: str
    headers: Headers

    @property
    def has_body(self) -> bool:
        """Whether octets follow the head, as far as the head says so."""
        length = self.headers.get("content-length")
        return "transfer-encoding" in self.headers or bool(length.strip("0 ,"))

    @property
    def is_signed(self) -> bool:
        """Whether somebody signed it for us; signatures for others are nobody's business here."""
        return "signature-input" in self.headers and REQUEST_TAG in self.headers.get(
            "signature-input"
        )


@dataclass
class Answered:
    """An answer as it is signed, with the request it answers."""

    status_code: int
    headers: Headers
    request: Asked


@dataclass(frozen=True, slots=True)
class Checked:
    """A good signature: the server's nonce in it, and a name no other request of it has."""

    nonce: str
    name: str


class _Verifier(HTTPMessageVerifier):
    """The library's, by the clock of whoever asks."""

    def validate_created_and_expires(
        self, sig_input: Any, max_age: timedelta | None = None
    ) -> None:
        """`_check_time` has looked."""


def check_request(asked: Asked, keys: Mapping[str, PublicKey], now: datetime) -> Checked:
    """The good signature of a request by one of its client's keys; raises `SignatureRefused`."""
    parameters = _parameters(asked)
    _check_time(parameters, now)
    key = keys.get(parameters["keyid"])
    if key is None:
        raise SignatureRefused("signature_key")
    try:
        verifier = _Verifier(
            signature_algorithm=_algorithm(key),
            key_resolver=MappingKeyResolver(
                public_keys={parameters["keyid"]: key}, private_keys={}
            ),
        )
        good = verifier.verify(asked, max_age=None, expect_tag=REQUEST_TAG)
    except HTTPMessageSignaturesException as error:
        raise SignatureRefused("signature_invalid") from error
    covered = good[0].covered_components
    if any(f'"{name}"' not in covered for name in _to_cover(asked)):
        raise SignatureRefused("signature_components")
    told = "\n".join(f"{name}: {value}" for name, value in covered.items())
    name = hashlib.sha256(told.encode()).hexdigest()
    return Checked(parameters["nonce"].partition(".")[0], name)


def _parameters(asked: Asked) -> dict[str, Any]:  # Any: bare items of a structured field
    """Parameters of the one signature that is for us, each of its type."""
    if not asked.is_signed:
        raise SignatureRefused("signature_missing")
    text = asked.headers.get("signature-input")
    try:
        if len(text) > _LONGEST:
            raise ValueError("longer than any signature's description")
        members: Any = http_sf.parse(text.encode("ascii"), tltype="dictionary")
        ours = [params for _, params in members.values() if params.get("tag") == REQUEST_TAG]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SignatureRefused("signature_malformed") from error
    if len(ours) != 1 or not _typed(ours[0]):
        raise SignatureRefused("signature_malformed")
    return dict(ours[0])


def _typed(parameters: Mapping[str, Any]) -> bool:
    """Whether those that are needed are there and all are of their types."""
    words = all(type(parameters.get(name)) is str for name in ("keyid", "nonce"))
    times = [parameters.get("created"), parameters.get("expires", 0)]
    known = parameters.keys() <= _PARAMETERS
    return words and known and all(type(time) is int for time in times)


def _check_time(parameters: Mapping[str, Any], now: datetime) -> None:
    """Made about now, and not over. (RFC 9421 §3.2: what a verifier asks for is its own)"""
    at, created = now.timestamp(), parameters["created"]
    if abs(created - at) > SKEW or at > parameters.get("expires", _LATEST):
        raise SignatureRefused("signature_time")


def _to_cover(asked: Asked) -> Iterator[str]:
    yield from _ALWAYS
    if "dpop" in asked.headers:
        yield "dpop"
    if asked.has_body or "content-digest" in asked.headers:
        yield "content-digest"


def _algorithm(key: PublicKey) -> type[HTTPSignatureAlgorithm]:
    """The one algorithm of RFC 9421 §3.3 for a kind of key: the sender does not choose."""
    match key:
        case ec.EllipticCurvePublicKey():
            return algorithms.ECDSA_P256_SHA256
        case rsa.RSAPublicKey():
            return algorithms.RSA_PSS_SHA512
        case ed25519.Ed25519PublicKey():
            return algorithms.ED25519


def check_digest(stated: str, body: bytes) -> None:
    """Raises `DigestRefused` for a content other than its Content-Digest says."""
    try:
        ContentDigest.verify(stated, body)
    except (HTTPMessageSignaturesException, UnicodeEncodeError) as error:
        raise DigestRefused from error


def sign_answer(answered: Answered, body: bytes, ring: Ring, now: datetime) -> None:
    """Add Content-Digest, Signature-Input and Signature to an answer's headers: status, content,
    and what was asked, so that no answer can be shown as the answer to another question."""
    asked = answered.request
    del answered.headers["content-digest"]
    covered = ["@status", "content-digest", '"@method";req', '"@target-uri";req']
    if "content-digest" in asked.headers:
        covered.append('"content-digest";req')
    if asked.is_signed:
        covered += ['"signature-input";req', '"signature";req']
    keys = MappingKeyResolver(public_keys={}, private_keys={ring.kid: ring.signing})
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=keys)
    signer.sign(
        answered,
        key_id=ring.kid,
        created=now,
        label="sluice",
        tag=RESPONSE_TAG,
        covered_component_ids=covered,
        body=body,
    )
