"""How an answer about one person is proven to be the bureau's: by the suite of whoever asked; and
encrypted for clients that registered for it, the proof inside (nested JWT, RFC 7519 §11.2).

`intl` tenants get ES256 and SHA-256; `gm` tenants SM2 with SM3 and SM3. Where the SM2 key cannot be
had, a `gm` tenant is told nothing: the other signature in its place would be no proof to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash

from gateway.errors import Unavailable
from gateway.identity.jose import sign_sm2
from gateway.identity.keyring import GM_ALGORITHM, GmRing
from gateway.identity.model import Client, Tenant
from gateway.identity.sealing import Seal, seal_for

PROOF_TYPE: Final = "sluice-claim+jwt"


@dataclass(frozen=True)
class Proofs:
    """Signatures and digests of answers, by tenant."""

    sign: Callable[[str, dict[str, Any]], str]
    """Media type and claims to a JWS by the current ES256 key."""
    gm_ring: Callable[[], GmRing | None]
    tenants: Callable[[], Mapping[str, Tenant]]
    clients: Callable[[], Mapping[str, Client]]

    def seal(self, client_id: str) -> Seal | None:
        """How answers to this client are encrypted; None where it did not register for that. Asked
        before anything about the person is, so that its refusal tells of nobody: Unavailable
        (`encryption_key_missing`) where no registered key can be used; nothing goes in the clear
        instead."""
        client = self.clients()[client_id]
        if client.answer_encryption is None:
            return None
        found = seal_for(client.jwks, client.answer_encryption)
        if found is None:
            raise Unavailable(
                "encryption_key_missing",
                "Your key set has no key of use enc that fits the registered encryption.",
                "您登记的密钥集中没有可用的加密公钥（use=enc），结果未予返回。",
            )
        return found

    def prove(self, tenant: str, claims: dict[str, Any]) -> str:
        """The claims as a compact JWS that this tenant can check."""
        ring = self.ready(tenant)
        if ring is None:
            return self.sign(PROOF_TYPE, claims)
        header = {"alg": GM_ALGORITHM, "typ": PROOF_TYPE, "kid": ring.kid}
        return sign_sm2(ring.signing, header, claims)

    def ready(self, tenant: str) -> GmRing | None:
        """The SM2 keys where the tenant is owed them; asked before the use of a consent is counted.
        Unavailable (`gm_key_missing`) where there are none."""
        if not self._gm(tenant):
            return None
        ring = self.gm_ring()
        if ring is None:
            raise Unavailable(
                "gm_key_missing",
                "There is no SM2 key to sign the answer with; nothing is answered without one.",
                "缺少国密签名密钥，结果未予返回。",
            )
        return ring

    def digest(self, tenant: str) -> Callable[[str], str]:
        """The digest, in hex, of texts in answers to this tenant."""
        return sm3 if self._gm(tenant) else sha256

    def _gm(self, tenant: str) -> bool:
        return self.tenants()[tenant].crypto == "gm"


def sha256(text: str) -> str:
    """SHA-256 in hex."""
    return _hex(Hash(SHA256()), text)


def sm3(text: str) -> str:
    """SM3 (GB/T 32905) in hex."""
    return _hex(Hash(SM3()), text)


def _hex(digest: Hash, text: str) -> str:
    digest.update(text.encode())
    return digest.finalize().hex()
