"""Signatures on statements: JSON Web Signatures (RFC 7515, Ed25519) that anybody can check.

`sign` makes the detached form over a document's bytes; `seal` signs the hashes of all its forms.
The same key and bytes give the same signature.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True)
class Sealer:
    """Signs statements; signatures carry `kind`, so that none stands for one of another."""

    key: Ed25519PrivateKey = field(repr=False)
    kind: str = "sluice-statement+jws"

    @cached_property
    def jwk(self) -> Mapping[str, str]:
        """The public key, for whoever checks; `kid` is its thumbprint (RFC 7638)."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        bare = {"crv": "Ed25519", "kty": "OKP", "x": _text(raw)}
        kid = _text(hashlib.sha256(_canonical(bare)).digest())
        return {**bare, "kid": kid, "use": "sig", "alg": "Ed25519"}

    def sign(self, body: bytes) -> str:
        """A detached signature over a body: `header..signature` (RFC 7515, appendix F)."""
        head, _, signature = self._signed(body).split(".")
        return f"{head}..{signature}"

    def seal(self, told: Mapping[str, object]) -> str:
        """A signature that carries what it signs."""
        return self._signed(_canonical(told))

    def holds(self, signature: str, body: bytes) -> bool:
        """Whether a detached signature over this body is ours."""
        head, _, rest = signature.partition("..")
        return self._is_ours(f"{head}.{_text(body)}.{rest}")

    def opened(self, seal: str) -> Mapping[str, object] | None:
        """What a seal of ours says; None where it is not ours."""
        if not self._is_ours(seal):
            return None
        told: Mapping[str, object] = orjson.loads(_bytes(seal.split(".")[1]))
        return told

    def _signed(self, payload: bytes) -> str:
        head = {"alg": "Ed25519", "kid": self.jwk["kid"], "typ": self.kind}
        text = f"{_text(_canonical(head))}.{_text(payload)}"
        return f"{text}.{_text(self.key.sign(text.encode()))}"

    def _is_ours(self, signed: str) -> bool:
        text, _, signature = signed.rpartition(".")
        try:
            self.key.public_key().verify(_bytes(signature), text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


def _canonical(told: Mapping[str, object]) -> bytes:
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
