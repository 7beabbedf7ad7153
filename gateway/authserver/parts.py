"""What the authorisation server works with: one frozen bundle, shared by all its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gateway.authserver.seal import Seal
from gateway.identity.directory import Directory
from gateway.identity.dpop import ProofChecker
from gateway.identity.jose import sign_es256
from gateway.identity.keyring import ALGORITHM, Ring
from gateway.identity.limiter import FailureLimiter
from gateway.identity.replay import ReplayGuard
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import TokenRule

SLACK = timedelta(seconds=60)
"""A refresh that read the consent just before its end may sign just after it."""


@dataclass(frozen=True)
class Parts:
    """Everything a request of the authorisation server may need."""

    engine: sa.Engine
    rule: TokenRule
    directory: Directory
    ring: Callable[[], Ring]
    replay: ReplayGuard
    proofs: ProofChecker
    revocations: Revocations
    seal: Seal
    unknown_key: Callable[[str], None]
    """Told which client used a key that is not known: its jwks_uri may have a new one."""
    limiter: FailureLimiter = field(default_factory=FailureLimiter)

    @property
    def issuer(self) -> str:
        """The issuer identifier."""
        return self.rule.issuer

    def sign(self, media_type: str, claims: dict[str, Any]) -> str:
        """A JWT by the current key. Any: claims are whatever JSON their kind has."""
        ring = self.ring()
        header = {"alg": ALGORITHM, "typ": media_type, "kid": ring.kid}
        return sign_es256(ring.signing, header, claims)

    def last_token_ends(self, now: datetime) -> datetime:
        """When the last access token that could be out now has expired."""
        return now + timedelta(seconds=self.rule.ttl_seconds) + SLACK
