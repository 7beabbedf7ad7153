"""Compact JWS, exactly as far as Sluice uses it: three signature algorithms, nothing negotiable.

The algorithm is chosen by the caller from the *registered key*, never by the token, so a public
key cannot be turned into an HMAC secret and `none` does not exist. `cryptography` does the maths.
"""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from gateway.identity.sm2 import Sm2PrivateKey

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
PUBLIC_KEYS = (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)

ALGORITHMS = ("ES256", "PS256", "EdDSA", "Ed25519")
"""Signature algorithms of FAPI 2.0; `Ed25519` is RFC 9864's name of the same EdDSA."""

_COORDINATE = 32  # octets of one P-256 coordinate (RFC 7518 §3.4)
_ECDSA = ec.ECDSA(hashes.SHA256())
# base64url to base64 and back; what only the other alphabet has becomes a character of neither.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class MalformedToken(ValueError):
    """The text is no compact JWS with JSON objects inside."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A parsed, not yet trusted, compact JWS."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes


def parse_compact(text: str) -> Compact:
    """Take the three parts apart; anything unusual is malformed."""
    try:
        octets = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise MalformedToken("a compact JWS is ASCII") from error
    parts = octets.split(b".")
    if len(parts) != 3:
        raise MalformedToken("a compact JWS has three parts")
    header, claims, signature = parts
    return Compact(
        header=_json_object(_decode(header)),
        claims=_json_object(_decode(claims)),
        signing_input=octets[: len(header) + 1 + len(claims)],
        signature=_decode(signature),
    )


def encode_segment(octets: bytes) -> str:
    """Base64url without padding."""
    encoded = binascii.b2a_base64(octets, newline=False).rstrip(b"=")
    return encoded.translate(_TO_URL_SAFE).decode("ascii")


def encode_json(content: dict[str, Any]) -> str:
    """One JSON part of a compact JWS."""
    try:
        octets = orjson.dumps(content)
    except TypeError:  # a number of more than 64 bits
        octets = json.dumps(content, separators=(",", ":")).encode()
    return encode_segment(octets)


def _decode(part: bytes) -> bytes:
    padded = part.translate(_TO_STANDARD) + b"=" * (-len(part) % 4)
    try:
        octets = binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error as error:
        raise MalformedToken("a part is not base64url") from error
    if binascii.b2a_base64(octets, newline=False) != padded:
        # One text per token: padding and loose last bits would give caches a second name for it.
        raise MalformedToken("a part is not canonical base64url")
    return octets


def _json_object(octets: bytes) -> dict[str, Any]:
    content = _plain_object(octets)
    return _strict_object(octets) if content is None else content


def _plain_object(octets: bytes) -> dict[str, Any] | None:
    """What most senders write: JSON that, written again, is the same text. So no member was named
    twice, no number rounded, no character halved. None for the rest, which is read strictly."""
    try:
        content = orjson.loads(octets)
        plain = isinstance(content, dict) and orjson.dumps(content) == octets
    except (ValueError, TypeError):
        return None
    return content if plain else None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise MalformedToken("a member is named twice")
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates)


def _strict_object(octets: bytes) -> dict[str, Any]:
    try:
        content = _DECODER.decode(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedToken("a part is not JSON") from error
    if not isinstance(content, dict):
        raise MalformedToken("a part is not a JSON object")
    if b"\\ud" in octets.lower():
        _refuse_half_characters(content)
    return content


def _refuse_half_characters(content: dict[str, Any]) -> None:
    """JSON can escape half of a surrogate pair; no store and no header can take such a text."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise MalformedToken("a text is not Unicode") from error


def signature_is_valid(algorithm: str, key: PublicKey, signed: bytes, signature: bytes) -> bool:
    """True when `key` made `signature` over `signed` with exactly this algorithm."""
    try:
        match algorithm, key:
            case "ES256", ec.EllipticCurvePublicKey():
                if len(signature) != 2 * _COORDINATE:
                    return False
                r = int.from_bytes(signature[:_COORDINATE])
                s = int.from_bytes(signature[_COORDINATE:])
                key.verify(encode_dss_signature(r, s), signed, _ECDSA)
            case "PS256", rsa.RSAPublicKey():
                key.verify(signature, signed, _pss(), hashes.SHA256())
            case "EdDSA" | "Ed25519", ed25519.Ed25519PublicKey():
                key.verify(signature, signed)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _pss() -> padding.PSS:
    # RFC 7518 §3.5: the salt is as long as the hash.
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)


def sign_es256(
    key: ec.EllipticCurvePrivateKey, header: dict[str, Any], claims: dict[str, Any]
) -> str:
    """A compact JWS signed by ES256."""
    signing_input = f"{encode_json(header)}.{encode_json(claims)}"
    r, s = decode_dss_signature(key.sign(signing_input.encode("ascii"), _ECDSA))
    signature = r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)
    return f"{signing_input}.{encode_segment(signature)}"


def sign_sm2(key: Sm2PrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A compact JWS signed by SM2 with SM3."""
    signing_input = f"{encode_json(header)}.{encode_json(claims)}"
    return f"{signing_input}.{encode_segment(key.sign(signing_input.encode('ascii')))}"
