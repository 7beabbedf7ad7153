"""Answers encrypted for a client by its registered key: compact JWE (RFC 7516), content A256GCM.

The keys are those of the client's key set with `use` `enc`. Of several that fit, the first listed
is used: who turns keys puts the new one first and keeps the old until the answers it was for have
come. The header's `kid` says which it was. Signature and digests of what is inside are the
tenant's suite; the cover is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey, import_key

from gateway.identity.jwks import ENCRYPTION, encryption_algorithm
from gateway.identity.model import Document

KeyAlgorithm: TypeAlias = Literal["ECDH-ES+A256KW", "RSA-OAEP-256"]
CONTENT: Final = "A256GCM"
MEDIA: Final = "application/jose"
"""Of a compact JWE (RFC 7516 §9)."""


@dataclass(frozen=True)
class Seal:
    """One client's key, and how it is used."""

    algorithm: str
    kid: str
    jwk: Mapping[str, Any]

    def seal(self, content: bytes, kind: str) -> bytes:
        """The content as a compact JWE; `kind` is its `cty`."""
        header = {"alg": self.algorithm, "enc": CONTENT, "kid": self.kid, "cty": kind}
        key = import_key(dict(self.jwk))
        if not isinstance(key, ECKey | RSAKey):
            raise TypeError("an accepted key set holds no other keys for encryption")
        sealed = jwe.encrypt_compact(header, content, key, algorithms=[self.algorithm, CONTENT])
        return sealed.encode("ascii")


def seal_for(jwks: Document, algorithm: str) -> Seal | None:
    """The first key of a stored key set that this algorithm can use."""
    keys = jwks["keys"]
    for jwk in keys if isinstance(keys, list) else ():
        if jwk.get("use") == ENCRYPTION and encryption_algorithm(jwk) == algorithm:
            material = {name: each for name, each in jwk.items() if name not in ("use", "alg")}
            return Seal(algorithm, str(jwk["kid"]), material)
    return None
