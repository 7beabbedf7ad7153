"""Secrets of the authorisation server: made here, handed out once, kept only as keyed hashes.

A copy of the database is therefore worth nothing at the token endpoint. The same key makes a
person's pairwise subject, which one client alone can recognise.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import uuid_utils

from gateway.identity.jose import encode_segment

Kind: TypeAlias = Literal["request", "browser", "code", "refresh", "registration"]

_ENTROPY = 32  # bytes: 256 bits, twice what FAPI 2.0 asks for


def new_secret() -> str:
    """A secret nobody can guess, safe in addresses and headers."""
    return secrets.token_urlsafe(_ENTROPY)


def new_id() -> str:
    """A name that tells nothing; not a secret, so it is drawn without a system call."""
    return encode_segment(uuid_utils.uuid4().bytes)


@dataclass(frozen=True)
class Seal:
    """The key under which secrets are kept and people are renamed."""

    key: bytes = field(repr=False)

    def digest(self, kind: Kind, secret: str) -> str:
        """How a secret is kept; a secret of one kind never passes for another kind."""
        return self._mac(kind, secret)

    def subject(self, client_id: str, subject_ref: str) -> str:
        """The person's name for this client alone (OpenID Connect: pairwise)."""
        return self._mac("subject", client_id, subject_ref)[:40]

    def _mac(self, *parts: str) -> str:
        # The lengths keep ("ab", "c") and ("a", "bc") apart.
        named = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self.key, named.encode("utf-8", "surrogatepass"), "sha256").hex()


def same(one: str, other: str) -> bool:
    """Equality of two digests in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
