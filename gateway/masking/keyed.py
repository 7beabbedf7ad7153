"""Masks that need a key: pseudonyms, salted hashes, shifted dates, sticky noise, FF1 numbers.

A text of the policy gives a `Keyed` mask, which can do nothing; `bind` gives it the keys of one
consumer, scenario and epoch, and only that masks values. There is no mask that hashes without a
key: the constructors take nothing but `KeyMaterial`.
"""

from __future__ import annotations

import math
import re
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, Protocol

from gateway.masking import ff1
from gateway.masking.keys import KeyMaterial, MaskingKeys
from gateway.masking.operators import Mask, MaskError, Value, number_of
from gateway.masking.pseudonyms import token

SHIFT_DAYS = 30
_TWO_64 = 1 << 64


class Keyed(Protocol):
    """A mask that still lacks its key."""

    def bind(self, keys: MaskingKeys) -> Mask | ByPerson: ...


class ByPerson(Protocol):
    """A mask whose result also depends on whose value it is; `person` names that column."""

    @property
    def person(self) -> str: ...

    def of(self, value: Value, person: Value) -> Value: ...


def _keyed(key: KeyMaterial) -> None:
    if not isinstance(key, KeyMaterial):
        raise TypeError("a keyed mask takes a KeyMaterial and nothing else")


@dataclass(frozen=True)
class PseudonymMask:
    """`pseud`, `hash_salted`: a token of the value; unrelated for another consumer or epoch."""

    key: KeyMaterial

    def __post_init__(self) -> None:
        _keyed(self.key)

    def __call__(self, value: Value) -> Value:
        return None if value is None else token(self.key, str(value))


@dataclass(frozen=True)
class FpeMask:
    """`fpe`: another number of as many digits; FF1 with AES-256, no tweak, 6 to 36 digits."""

    key: KeyMaterial

    def __post_init__(self) -> None:
        _keyed(self.key)

    def __call__(self, value: Value) -> Value:
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{6,36}", value):
            raise MaskError("fpe masks texts of 6 to 36 digits only.")
        return ff1.encrypt(self.key.expose(), b"", value)


@dataclass(frozen=True)
class DateShiftMask:
    """`dateshift(psn_no)`: the day moved by -30 to 30 days, the same for all days of a person."""

    key: KeyMaterial
    person: str

    def __post_init__(self) -> None:
        _keyed(self.key)

    def of(self, value: Value, person: Value) -> Value:
        if value is None:
            return None
        if person is None:
            raise MaskError("dateshift needs to know whose date it is.")
        if not isinstance(value, date):
            raise MaskError("dateshift masks dates only.")
        return value + timedelta(days=self.days(str(person)))

    def days(self, person: str) -> int:
        return _word(self.key, person) % (2 * SHIFT_DAYS + 1) - SHIFT_DAYS


@dataclass(frozen=True)
class NoiseMask:
    """`noise(laplace,epsilon,sensitivity,psn_no)`: Laplace noise of scale sensitivity/epsilon, in
    the value's own decimals, drawn by key from person and value, so that asking again gives the
    same. No budget is kept: for job views; what is published gets its noise from the ledger."""

    key: KeyMaterial
    epsilon: Decimal
    sensitivity: Decimal
    person: str

    def __post_init__(self) -> None:
        _keyed(self.key)

    def of(self, value: Value, person: Value) -> Value:
        if value is None:
            return None
        if person is None:
            raise MaskError("noise needs to know whose value it is.")
        exact = number_of(value, "noise")
        noise = self.drawn(f"{person}\x1f{exact}")
        places = exact.as_tuple().exponent
        step = Decimal(1).scaleb(places if isinstance(places, int) and places < 0 else 0)
        noised = exact + Decimal(noise).quantize(step)
        if isinstance(value, str):
            return str(noised)
        return int(noised) if isinstance(value, int) else float(noised)

    def drawn(self, text: str) -> float:
        """Inverse of the Laplace distribution function at a keyed point of (-1/2, 1/2)."""
        point = (_word(self.key, text) + 0.5) / _TWO_64 - 0.5
        scale = float(self.sensitivity / self.epsilon)
        return -scale * math.copysign(math.log(max(1 - 2 * abs(point), 2.0**-60)), point)


@dataclass(frozen=True)
class TokenMask:
    """`token`: a random word for each value of one set of answers; `issued` is for the vault."""

    issued: dict[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, value: Value) -> Value:
        if value is None:
            return None
        return self.issued.setdefault(str(value), secrets.token_hex(16))


def _word(key: KeyMaterial, text: str) -> int:
    """64 keyed bits of a text."""
    return int(token(key, text)[:16], 16)


@dataclass(frozen=True)
class Pseudonym:
    """`pseud` or `hash_salted` before it has its key."""

    purpose: Literal["pseud", "hash_salted"]

    def bind(self, keys: MaskingKeys) -> Mask:
        return PseudonymMask(keys.key(self.purpose))


@dataclass(frozen=True)
class Fpe:
    """`fpe` before it has its key."""

    def bind(self, keys: MaskingKeys) -> Mask:
        return FpeMask(keys.key("fpe"))


@dataclass(frozen=True)
class DateShift:
    """`dateshift(person)` before it has its key."""

    person: str

    def bind(self, keys: MaskingKeys) -> ByPerson:
        return DateShiftMask(keys.key("dateshift"), self.person)


@dataclass(frozen=True)
class Noise:
    """`noise(…)` before it has its key."""

    epsilon: Decimal
    sensitivity: Decimal
    person: str

    def bind(self, keys: MaskingKeys) -> ByPerson:
        return NoiseMask(keys.key("noise"), self.epsilon, self.sensitivity, self.person)


@dataclass(frozen=True)
class Token:
    """`token` before its set of answers begins."""

    def bind(self, keys: MaskingKeys) -> Mask:
        return TokenMask()


KEYED = (Pseudonym, Fpe, DateShift, Noise, Token)
