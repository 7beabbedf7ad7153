"""What staff prove themselves with: passwords, one-time codes, recovery codes, opaque tokens.

Pure but for the random numbers and the costly hash; what has been used lies in the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway.errors import OperatorError

LEAST_PASSWORD = 12
MOST_PASSWORD = 200
RECOVERY_CODES = 10
_STEP = 30
_AROUND = 1  # steps before and after the present one
_NONCE = 12


@dataclass(frozen=True)
class Passwords:
    """Argon2id, with a hash nobody's password has for accounts that do not exist."""

    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    nobody: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nobody", _nobody(self.hasher))

    def keep(self, password: str) -> str:
        """The hash to be stored."""
        return self.hasher.hash(password)

    def fits(self, stored: str, password: str) -> bool:
        """Whether the password is the one; takes as long when there is no account."""
        try:
            return self.hasher.verify(stored or self.nobody, password[:MOST_PASSWORD]) and bool(
                stored
            )
        except (VerificationError, InvalidHashError):
            return False


_NOBODY: dict[tuple[int, ...], str] = {}


def _nobody(hasher: PasswordHasher) -> str:
    """A hash of a password nobody has, at the hasher's cost; made once per cost and process."""
    cost = (hasher.time_cost, hasher.memory_cost, hasher.parallelism, hasher.hash_len)
    if cost not in _NOBODY:
        _NOBODY[cost] = hasher.hash(secrets.token_urlsafe(32))
    return _NOBODY[cost]


def password_fault(password: str, name: str) -> str | None:
    """Why a password cannot be used; None when it can. Length counts, not kinds of character."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        return f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters"
    if name.casefold() in password.casefold():
        return "a password does not contain the account's name"
    if len(set(password)) < 5:
        return "a password has at least five different characters"
    return None


def check_password(password: str, name: str) -> None:
    """Refuse a password that cannot be used."""
    fault = password_fault(password, name)
    if fault:
        raise OperatorError("staff.password", f"Choose another password: {fault}.")


class Sealer:
    """Keyed hashes of tokens, and sealing of TOTP secrets, from one key of the key folder."""

    def __init__(self, key: bytes) -> None:
        self._digest = HKDFExpand(SHA256(), 32, b"sluice staff digest").derive(key)
        self._box = AESGCM(HKDFExpand(SHA256(), 32, b"sluice staff totp").derive(key))

    def digest(self, purpose: str, text: str) -> str:
        """Keyed hash of a secret text; other purposes give other hashes."""
        return hmac.new(self._digest, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()

    def seal(self, name: str, secret: str) -> str:
        """A TOTP secret as it is stored: readable with the key only, and for this account only."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._box.encrypt(nonce, secret.encode(), name.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, name: str, sealed: str) -> str:
        """The TOTP secret; an altered or exchanged one is an error of the installation."""
        octets = base64.b64decode(sealed)
        try:
            return self._box.decrypt(octets[:_NONCE], octets[_NONCE:], name.encode()).decode()
        except InvalidTag as error:
            raise OperatorError(
                "staff.sealed", "A second factor cannot be read: wrong key, or altered."
            ) from error


def new_totp_secret() -> str:
    """A fresh secret for an authenticator app."""
    return pyotp.random_base32()


def totp_address(secret: str, name: str, issuer: str) -> str:
    """The otpauth address an authenticator app reads."""
    office = f"Sluice {urlsplit(issuer).hostname}"
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=office)


def accepted_step(secret: str, code: str, now: datetime, after: int) -> int | None:
    """The time step the code belongs to, if it is a present one later than `after`."""
    present = int(now.timestamp()) // _STEP
    totp = pyotp.TOTP(secret)
    fitting = [
        step
        for step in range(present - _AROUND, present + _AROUND + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
    ]
    return next((step for step in fitting if step > after), None)


def new_recovery_codes() -> tuple[str, ...]:
    """Codes of eighty bits, in groups that can be read aloud."""
    return tuple(_grouped(secrets.token_bytes(10)) for _ in range(RECOVERY_CODES))


def tidy_code(code: str) -> str:
    """A code as people type it, without blanks and hyphens."""
    return "".join(code.split()).replace("-", "").upper()


def is_recovery_code(code: str) -> bool:
    """Whether this has a recovery code's form."""
    return len(tidy_code(code)) == 16


def new_token() -> str:
    """An opaque token of 256 bits."""
    return secrets.token_urlsafe(32)


def _grouped(octets: bytes) -> str:
    text = base64.b32encode(octets).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
