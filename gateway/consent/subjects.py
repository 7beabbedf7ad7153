"""Names for persons inside the gateway: keyed hashes of a certificate number, never the number.

`reference` is the internal token of a person (`subject_ref`). What a receiver hands over as a hint
is turned into the same reference at once, so the number itself is neither stored nor logged.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from gateway.identity.secrets import secret

SECRET = "person"  # noqa: S105 — the name of a secret's file


@dataclass(frozen=True, slots=True)
class Subjects:
    """Makes references with one key; the key never leaves."""

    key: bytes

    def reference(self, certno: str) -> str:
        """The internal token of the person with this certificate number."""
        return f"p{self._mac('subject', normal(certno))[:40]}"

    def mac(self, purpose: str, text: str) -> str:
        """A keyed hash for another purpose, unrelated to every reference."""
        return self._mac(f"other:{purpose}", text)

    def audit_token(self, reference: str) -> str:
        """The pseudonym under which the audit journal speaks of a person."""
        return f"a{self._mac('audit', reference)[:40]}"

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def open_subjects(keys: Path) -> Subjects:
    """References of this installation."""
    return Subjects(secret(keys, SECRET))


def audit_token_of(keys: Path, certno: str) -> str:
    """The journal's pseudonym of the person with this certificate number."""
    subjects = open_subjects(keys)
    return subjects.audit_token(subjects.reference(certno))


def normal(certno: str) -> str:
    """One spelling of a certificate number: no spaces, Latin capitals."""
    return unicodedata.normalize("NFKC", certno).replace(" ", "").upper()
