"""Keys of masks: never printed or pickled, derived by what they are for.

An epoch's root key comes from the key store; every mask works with a key derived from it by
consumer, scenario and purpose (HKDF, RFC 5869), so tokens of two consumers have nothing in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.masking.operators import MaskError

Suite: TypeAlias = Literal["gm", "international"]
"""`gm`: HMAC-SM3 (GB/T 32905); `international`: HMAC-SHA-256 (FIPS 198-1)."""

Purpose: TypeAlias = Literal["pseud", "hash_salted", "dateshift", "noise", "fpe"]
KEY_BYTES = 32


class KeyMaterial:
    """32 secret bytes that say nothing of themselves: no repr, no pickle, no copy, no comparison.

    `label` names the key (never derived from its bytes) and `suite` says what it computes with.
    """

    __slots__ = ("_secret", "label", "suite")

    def __init__(self, secret: bytes, label: str, suite: Suite) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a masking key has {KEY_BYTES} bytes")
        self._secret, self.label, self.suite = bytes(secret), label, suite

    def derive(self, *parts: str) -> KeyMaterial:
        """The key of these parts; other parts, or parts cut elsewhere, give an unrelated key."""
        info = b"sluice masking key v1"
        for part in parts:
            written = part.encode()
            info += len(written).to_bytes(4, "big") + written
        hkdf = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info)
        return KeyMaterial(hkdf.derive(self._secret), self.label, self.suite)

    def expose(self) -> bytes:
        """The bytes, for a cipher or a MAC alone; whoever calls this keeps them out of messages."""
        return self._secret

    def __repr__(self) -> str:
        return f"KeyMaterial({self.label}, {self.suite}, withheld)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is never serialised")

    def __copy__(self) -> NoReturn:
        raise TypeError("a key is never copied")

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError("a key is never copied")


@dataclass(frozen=True)
class Context:
    """For whom and what for values are masked: two that differ in any part share no token."""

    consumer: str
    scenario: str

    def __post_init__(self) -> None:
        if not self.consumer or not self.scenario:
            raise MaskError("A keyed mask needs a consumer and a scenario.")


@dataclass(frozen=True)
class MaskingKeys:
    """The keys of one consumer in one scenario and epoch, by purpose."""

    root: KeyMaterial
    context: Context

    def key(self, purpose: Purpose) -> KeyMaterial:
        return self.root.derive(self.context.consumer, self.context.scenario, purpose)
