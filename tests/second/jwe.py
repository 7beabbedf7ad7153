"""Opening a compact JWE by the letter of RFC 7516 and RFC 7518, by a program of its own."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap


def opened(text: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[Any, bytes]:
    """Header and content; raises where the key does not open it or a part was changed."""
    protected, wrapped, nonce, cipher, tag = text.split(".")
    header = json.loads(_octets(protected))
    assert header["enc"] == "A256GCM"
    content_key = _unwrapped(header, _octets(wrapped), key)
    sealed = _octets(cipher) + _octets(tag)
    return header, AESGCM(content_key).decrypt(_octets(nonce), sealed, protected.encode("ascii"))


def _unwrapped(
    header: Any, wrapped: bytes, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        assert header["alg"] == "RSA-OAEP-256"
        return key.decrypt(wrapped, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    assert header["alg"] == "ECDH-ES+A256KW"
    made = header["epk"]
    assert (made["kty"], made["crv"]) == ("EC", "P-256")
    x, y = (int.from_bytes(_octets(made[name])) for name in ("x", "y"))
    point = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    shared = key.exchange(ec.ECDH(), point)
    return aes_key_unwrap(_derived(shared, header), wrapped)


def _derived(shared: bytes, header: Any) -> bytes:
    """Concat KDF (RFC 7518 §4.6.2), one round: 256 bits of one SHA-256."""
    digest = Hash(SHA256())
    digest.update((1).to_bytes(4) + shared)
    for part in (header["alg"].encode(), *(_octets(header.get(p, "")) for p in ("apu", "apv"))):
        digest.update(len(part).to_bytes(4) + part)
    digest.update((256).to_bytes(4))
    return digest.finalize()


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
