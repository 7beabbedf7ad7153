"""One exchange between a client under examination and the sandbox, as the suite remembers it.

Nothing of a body, token or proof is kept but hashes: they tell whether two are the same.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self


class Kind(StrEnum):
    """What a request is about; `push` is one of the sandbox's own to the client's receiver."""

    TOKEN = "token"  # noqa: S105 - a kind of request
    QUERY = "query"
    VERIFY = "verify"
    KICK_OFF = "kick_off"
    PROGRESS = "progress"
    FILE = "file"
    CONSENT = "consent"
    OTHER = "other"
    PUSH = "push"
    SAID = "said"


class Trial(StrEnum):
    """What the suite did instead of answering plainly."""

    NONE = ""
    NONCE = "nonce"
    BUSY = "busy"
    DOWN = "down"
    LOST = "lost"
    ENDED = "ended"
    WORKING = "working"
    BROKEN = "broken"
    DAMAGED = "damaged"
    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    GOOD = "good"
    REPLAYED = "replayed"
    FORGED = "forged"


_KINDS: Final = (
    (Kind.TOKEN, "POST", re.compile(r"/oauth/token")),
    (Kind.QUERY, "POST", re.compile(r"/v1/services/[^/]+/queries")),
    (Kind.VERIFY, "POST", re.compile(r"/v1/services/[^/]+/verify")),
    (Kind.KICK_OFF, "", re.compile(r"/v1/services/[^/]+/exports")),
    (Kind.PROGRESS, "GET", re.compile(r"/v1/exports/[^/]+")),
    (Kind.FILE, "GET", re.compile(r"/v1/exports/[^/]+/files/[^/]+")),
    (Kind.CONSENT, "GET", re.compile(r"/v1/consents/[^/]+")),
)
_BESIDE: Final = ("/v1/conformance", "/v1/portal")
LONGEST_ITEM: Final = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """A request and how it was answered; times are seconds of one clock, hashes 16 hex digits."""

    kind: Kind
    at: float
    same: str = ""  # of method, address and body: two requests that ask the same
    body: str = ""
    question: str = ""  # of the body without its cursor
    cursor: str = ""  # the one that was sent
    key: str = ""  # the Idempotency-Key
    token: str = ""
    proof: str = ""  # jti of the DPoP proof; empty where a certificate proves
    item: str = ""  # the consent, job, file or event it is about
    asynchronous: bool = False
    begins_at: int = 0  # first octet of the range that was asked for
    conditional: bool = False  # the range is asked for only of the same file
    trial: Trial = Trial.NONE
    status: int = 0
    answered: float = 0.0
    wait: float = 0.0  # seconds the answer told the client to wait
    next_cursor: str = ""
    sent: int = 0  # octets of the answer's body that left

    def document(self) -> dict[str, Any]:
        """As it is stored: what is not empty."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """The same from what was stored."""
        known = {**told, "kind": Kind(told["kind"]), "trial": Trial(told.get("trial", ""))}
        return cls(**{"at": 0.0, **known})

    def with_facts(self, **facts: Any) -> Self:
        """The same exchange, with more known of it."""
        return replace(self, **facts)


def kind_of(method: str, path: str) -> Kind | None:
    """What a request is about; none where the suite does not look."""
    for kind, wanted, form in _KINDS:
        if method == (wanted or method) and form.fullmatch(path):
            return kind
    if path.startswith("/v1/") and not path.startswith(_BESIDE):
        return Kind.OTHER
    return None


def item_of(kind: Kind, path: str) -> str:
    """The job or consent that an address names."""
    parts = path.split("/")
    if kind is Kind.FILE:
        return "/".join(parts[3:6])[:LONGEST_ITEM]
    return parts[3][:LONGEST_ITEM] if kind in {Kind.PROGRESS, Kind.CONSENT} else ""


def mark(*parts: bytes | str) -> str:
    """A short hash; two are the same where what they are of is."""
    digest = hashlib.sha256()
    for part in parts:
        octets = part.encode() if isinstance(part, str) else part
        digest.update(len(octets).to_bytes(8, "big"))
        digest.update(octets)
    return digest.hexdigest()[:16]
