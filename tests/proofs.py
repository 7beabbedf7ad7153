"""DPoP proofs that are wrong in one chosen place, signed by joserfc, not by Sluice's own code."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import Key

from gateway.identity.binding import Presented
from gateway.identity.dpop import ProofChecker, token_hash
from tests.factories_identity import public

URL = "https://sluice.example/v1/services"
TOKEN = "some.access.token"


@dataclass(frozen=True)
class Forge:
    """Makes proofs for one request; a change to None leaves the member out."""

    key: Key
    now: datetime
    nonce: str | None = None
    algorithm: str = "ES256"

    def header(self, **changes: Any) -> dict[str, Any]:
        jwk = {name: value for name, value in public(self.key).items() if name != "kid"}
        return _whole({"typ": "dpop+jwt", "alg": self.algorithm, "jwk": jwk, **changes})

    def claims(self, **changes: Any) -> dict[str, Any]:
        return _whole(
            {
                "jti": str(uuid.uuid4()),
                "htm": "GET",
                "htu": URL,
                "iat": int(self.now.timestamp()),
                "nonce": self.nonce,
                "ath": token_hash(TOKEN),
                **changes,
            }
        )

    def proof(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A signed proof."""
        return signed(self.header(**(header or {})), self.claims(**claims), self.key)


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: Key) -> str:
    """Any header over any claims."""
    algorithm = str(header["alg"])
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=[algorithm])
    return jws.serialize_compact(
        dict(header), json.dumps(claims), key, algorithms=[algorithm], registry=registry
    )


def shown(*proofs: str, method: str = "GET", url: str = URL) -> Presented:
    """A request that carries these proofs."""
    return Presented(method, url, proofs, ip="127.0.0.1")


def forge(checker: ProofChecker, key: Key, now: datetime) -> Forge:
    """A forge that knows the checker's nonce."""
    return Forge(key, now, checker.nonce(now))


def _whole(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
