"""A sign-in under way at the upstream provider, kept in the browser's own cookie under a seal.

Nothing of it is written down here: a stranger who presses the button leaves no trace to store.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime

from gateway.consent.subjects import Subjects

LIFE_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Pending:
    """What the answer must fit: its state and nonce, the verifier of its code, what it is for."""

    purpose: str
    state: str
    nonce: str
    verifier: str
    expires: int


def seal(pending: Pending, subjects: Subjects) -> str:
    """The text of the cookie; only we can make one."""
    text = base64.urlsafe_b64encode(json.dumps(asdict(pending)).encode()).decode("ascii")
    return f"{text}.{subjects.mac('login', text)}"


def unseal(cookie: str, subjects: Subjects, now: datetime) -> Pending | None:
    """What a cookie of ours says, while it is good."""
    text, _, mac = cookie.partition(".")
    if not hmac.compare_digest(mac.encode(), subjects.mac("login", text).encode()):
        return None
    try:
        pending = Pending(**json.loads(base64.urlsafe_b64decode(text)))
    except (binascii.Error, TypeError, ValueError):
        return None
    return pending if now.timestamp() < pending.expires else None
