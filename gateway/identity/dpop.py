"""DPoP proofs (RFC 9449): that the sender of this very request holds the key its token names.

Every proof must carry a nonce of this process, random and new each minute. A proof made for
another process, or for this one before a restart, is answered with a fresh nonce instead of being
believed. Replay is thereby judged exactly by the memory of the one process that can accept the
proof, without storage shared between replicas: used `jti`s are kept with their nonce and forgotten
when that nonce is no longer accepted.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import OperatorError
from gateway.identity.binding import Presented
from gateway.identity.jose import (
    ALGORITHMS,
    Compact,
    MalformedToken,
    PublicKey,
    encode_segment,
    parse_compact,
    signature_is_valid,
)
from gateway.identity.jwks import accept_jwks, read_keys

PROOF_TYPE = "dpop+jwt"
SKEW = 60
"""Seconds a proof's `iat` may lie before or after our clock; the nonce proves freshness."""
ASKS_FOR_NONCE = "dpop_nonce"
"""The one code that is no failure: the sender could not know the nonce yet."""
_BUCKET = 60
_BUCKETS = 5
_DIGEST = 16
_LONGEST_PROOF = 4096
_LONGEST_JTI = 256
_MOST_KEYS = 10_000
_MOST_USED = 300_000  # of one minute; ~ 30 MB
_LATEST = 253_402_300_000  # the year 9999
_FORBIDDEN_HEADERS = frozenset({"crit", "jku", "x5u", "x5c", "b64"})

ProofError: TypeAlias = Literal["use_dpop_nonce", "invalid_dpop_proof"]

_SAYINGS: dict[str, tuple[str, str]] = {
    "dpop_missing": (
        "Send a DPoP proof of this request in the DPoP header.",
        "缺少 DPoP 证明，请在 DPoP 请求头中提供。",
    ),
    "dpop_several": ("Send exactly one DPoP header.", "只能有一个 DPoP 请求头。"),
    "dpop_malformed": ("The DPoP proof is not a signed JWT.", "DPoP 证明格式不正确。"),
    "dpop_header": (
        "A DPoP proof's header holds typ dpop+jwt, alg and jwk.",
        "DPoP 证明的头部应含 typ（dpop+jwt）、alg 与 jwk。",
    ),
    "dpop_algorithm": (
        f"Sign the DPoP proof with {', '.join(ALGORITHMS)}.",
        "DPoP 证明的签名算法不被接受。",
    ),
    "dpop_key": (
        "The DPoP proof's jwk must be a public key: EC P-256, RSA of 2048 bits, or Ed25519.",
        "DPoP 证明中的 jwk 必须是可接受的公钥。",
    ),
    "dpop_method": ("The DPoP proof is for another method (htm).", "DPoP 证明的 htm 不符。"),
    "dpop_url": ("The DPoP proof is for another address (htu).", "DPoP 证明的 htu 不符。"),
    "dpop_time": (
        f"The DPoP proof's iat must be within {SKEW} s of now; check the clock.",
        "DPoP 证明的 iat 偏差过大，请校准时钟。",
    ),
    "dpop_jti": ("The DPoP proof's jti must be a string.", "DPoP 证明缺少 jti。"),
    ASKS_FOR_NONCE: (
        "Repeat the request with a DPoP proof that holds the nonce of the DPoP-Nonce header.",
        "请使用 DPoP-Nonce 响应头中的随机数重新生成证明后重试。",
    ),
    "dpop_token": (
        "The DPoP proof is for another access token (ath).",
        "DPoP 证明的 ath 与访问令牌不符。",
    ),
    "dpop_signature": ("The DPoP proof's signature is wrong.", "DPoP 证明的签名不正确。"),
    "dpop_other_key": (
        "The DPoP proof was made with another key than the token is bound to.",
        "DPoP 证明所用密钥与令牌绑定的密钥不同。",
    ),
    "dpop_replayed": ("This DPoP proof was used before.", "该 DPoP 证明已被使用过。"),
    "dpop_busy": (
        "Too many proofs in this minute; repeat the request a minute later.",
        "当前请求过多，请一分钟后重试。",
    ),
}

PROOF_CODES = tuple(_SAYINGS)
"""Every reason code a proof can be refused with."""


class ProofRefused(ValueError):
    """The proof is refused; `error` is the protocol's word, `code` says exactly why."""

    def __init__(self, code: str) -> None:
        english, chinese = _SAYINGS[code]
        super().__init__(english)
        self.code = code
        self.description = english
        self.zh = chinese

    @property
    def error(self) -> ProofError:
        return "use_dpop_nonce" if self.code == ASKS_FOR_NONCE else "invalid_dpop_proof"


@dataclass(frozen=True, slots=True)
class _ProofKey:
    """The key inside a proof's header, ready to verify with."""

    algorithm: str
    key: PublicKey
    jkt: str


@dataclass(slots=True)
class _Round:
    """One minute's nonce and the proofs that were used with it."""

    minute: int
    nonce: str
    used: set[bytes] = field(default_factory=set)


@dataclass
class ProofChecker:
    """Checks the proofs of one serving process; make one and keep it. Threads may share it.

    `lead` is how far our clock is ahead of the callers' (a sandbox's may be).
    """

    lead: Callable[[], timedelta] = timedelta
    _now: _Round = field(default_factory=lambda: _Round(-1, ""), repr=False)
    _rounds: dict[str, _Round] = field(default_factory=dict, repr=False)
    _keys: dict[str, _ProofKey] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def theirs(self, now: datetime) -> datetime:
        """What the callers' clocks show now: they go by the real time everywhere."""
        return now - self.lead()

    def nonce(self, now: datetime) -> str:
        """The nonce to hand out now; good for at least four minutes, in this process alone."""
        return self._turn(now).nonce

    def check(
        self,
        presented: Presented,
        now: datetime,
        *,
        access_token: str | None = None,
        jkt: str | None = None,
    ) -> str:
        """Thumbprint of the key that proved this request; raises `ProofRefused`.

        With `jkt`, only that key will do, and proofs of others are not even remembered.
        """
        text = _only_header(presented.dpop)
        try:
            compact = parse_compact(text)
        except MalformedToken as error:
            raise ProofRefused("dpop_malformed") from error
        header = text.partition(".")[0]
        proof_key = self._keys.get(header) or _read_key(compact.header)
        _check_claims(compact.claims, presented, self.theirs(now), access_token)
        held = self._round_of(compact.claims.get("nonce"), now)
        if jkt is not None and proof_key.jkt != jkt:
            raise ProofRefused("dpop_other_key")
        _check_signature(proof_key, compact)
        self._remember_key(header, proof_key)
        self._use_once(held, f"{proof_key.jkt}{compact.claims['jti']}")
        return proof_key.jkt

    def use_nonce(self, nonce: str, named: str, now: datetime) -> None:
        """Use a nonce of this process for what is named so, once; raises `ProofRefused`."""
        self._use_once(self._round_of(nonce, now), named)

    def _turn(self, now: datetime) -> _Round:
        """The current round. A clock that is set back prolongs it: no used proof is forgotten."""
        minute = int(now.timestamp()) // _BUCKET
        if minute > self._now.minute:
            with self._lock:
                if minute > self._now.minute:
                    started = _Round(minute, secrets.token_urlsafe(16))
                    kept = {
                        nonce: held
                        for nonce, held in self._rounds.items()
                        if minute - held.minute < _BUCKETS
                    }
                    self._rounds = kept | {started.nonce: started}
                    self._now = started
        return self._now

    def _round_of(self, nonce: object, now: datetime) -> _Round:
        """The round in which this process handed the nonce out."""
        self._turn(now)
        held = self._rounds.get(nonce) if isinstance(nonce, str) else None
        if held is None:
            raise ProofRefused(ASKS_FOR_NONCE)
        return held

    def _remember_key(self, header: str, proof_key: _ProofKey) -> None:
        if header not in self._keys:
            if len(self._keys) >= _MOST_KEYS:
                self._keys = {}  # costs each key one more reading, and bounds the memory
            self._keys[header] = proof_key

    def _use_once(self, held: _Round, named: str) -> None:
        digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()[:_DIGEST]
        with self._lock:
            if digest in held.used:
                raise ProofRefused("dpop_replayed")
            if len(held.used) >= _MOST_USED:
                raise ProofRefused("dpop_busy")
            held.used.add(digest)


def _only_header(headers: tuple[str, ...]) -> str:
    if not headers:
        raise ProofRefused("dpop_missing")
    if len(headers) > 1:
        raise ProofRefused("dpop_several")
    if len(headers[0]) > _LONGEST_PROOF:
        raise ProofRefused("dpop_malformed")
    return headers[0]


def _read_key(header: dict[str, Any]) -> _ProofKey:
    if header.get("alg") not in ALGORITHMS:
        raise ProofRefused("dpop_algorithm")
    jwk = header.get("jwk")
    if header.get("typ") != PROOF_TYPE or _FORBIDDEN_HEADERS & header.keys():
        raise ProofRefused("dpop_header")
    if not isinstance(jwk, dict):
        raise ProofRefused("dpop_key")
    unnamed = {name: value for name, value in jwk.items() if name != "kid"}
    try:
        # The same gate as for registered keys: public, strong, of an allowed kind.
        signing = read_keys(accept_jwks({"keys": [unnamed]}))
    except OperatorError as error:
        raise ProofRefused("dpop_key") from error
    if not signing or header["alg"] not in signing[0].algorithms:
        raise ProofRefused("dpop_key")
    accepted = signing[0]
    return _ProofKey(header["alg"], accepted.key, thumbprint(accepted.key))


def thumbprint(key: PublicKey) -> str:
    """RFC 7638 thumbprint, of the key itself: one key has one, however its JWK was written."""
    text = json.dumps(_canonical_jwk(key), sort_keys=True, separators=(",", ":"))
    return encode_segment(hashlib.sha256(text.encode("ascii")).digest())


def _canonical_jwk(key: PublicKey) -> dict[str, str]:
    match key:
        case ec.EllipticCurvePublicKey():
            point = key.public_numbers()
            x, y = (encode_segment(each.to_bytes(32)) for each in (point.x, point.y))
            return {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        case rsa.RSAPublicKey():
            numbers = key.public_numbers()
            n, e = (
                encode_segment(each.to_bytes((each.bit_length() + 7) // 8))
                for each in (numbers.n, numbers.e)
            )
            return {"e": e, "kty": "RSA", "n": n}
        case ed25519.Ed25519PublicKey():
            x = encode_segment(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
            return {"crv": "Ed25519", "kty": "OKP", "x": x}


def _check_claims(
    claims: dict[str, Any], presented: Presented, now: datetime, access_token: str | None
) -> None:
    jti, issued = claims.get("jti"), claims.get("iat")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _LONGEST_JTI:
        raise ProofRefused("dpop_jti")
    if claims.get("htm") != presented.method:
        raise ProofRefused("dpop_method")
    if not _same_address(claims.get("htu"), presented.url):
        raise ProofRefused("dpop_url")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise ProofRefused("dpop_time")
    if not 0 <= issued < _LATEST or abs(issued - now.timestamp()) > SKEW:
        raise ProofRefused("dpop_time")
    if access_token is not None and claims.get("ath") != token_hash(access_token):
        raise ProofRefused("dpop_token")


def token_hash(access_token: str) -> str:
    """The `ath` of an access token."""
    return encode_segment(hashlib.sha256(access_token.encode("ascii")).digest())


def _same_address(htu: object, url: str) -> bool:
    """Whether htu names the address, after the normalisation of RFC 3986 §6.2.2 and §6.2.3."""
    if htu == url:
        return True
    if not isinstance(htu, str) or not (htu.isascii() and htu.isprintable()):
        return False
    stated = _normal(htu)
    return stated is not None and stated == _normal(url)


def _normal(address: str) -> tuple[str, str, int | None, str] | None:
    """Scheme, host, port and path; None for what is no plain address."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port, _path(parts)


def _path(parts: SplitResult) -> str:
    """The path with needless percent-encodings undone and needed ones in capitals."""
    pieces = (parts.path or "/").split("%")
    path = pieces[0]
    for piece in pieces[1:]:
        plain = unquote(f"%{piece[:2]}")
        unreserved = len(plain) == 1 and plain.isascii() and (plain.isalnum() or plain in "-._~")
        path += (plain if unreserved else f"%{piece[:2].upper()}") + piece[2:]
    return path


def _check_signature(proof_key: _ProofKey, compact: Compact) -> None:
    if not signature_is_valid(
        proof_key.algorithm, proof_key.key, compact.signing_input, compact.signature
    ):
        raise ProofRefused("dpop_signature")
