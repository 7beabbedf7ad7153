"""Values of an edition's life, and the table of its states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.identity.model import Document
from gateway.identity.states import Transitions

EDITION_TRANSITIONS: Transitions = {
    "draft": frozenset({"tested", "withdrawn"}),
    "tested": frozenset({"shadow", "withdrawn"}),
    "shadow": frozenset({"canary", "withdrawn"}),
    "canary": frozenset({"live", "withdrawn"}),
    "live": frozenset({"retired", "withdrawn"}),  # replaced by another; gone back from
    "retired": frozenset({"live", "withdrawn"}),  # live again by a roll-back alone
    "withdrawn": frozenset({"draft"}),  # pushed anew: tests and approvals begin again
}
PLACES = ("live", "canary", "shadow")
"""States of which there is one edition at a time, and which serving processes follow."""
APPROVERS = 2


@dataclass(frozen=True)
class EditionRecord:
    """An edition and how far it has come."""

    name: str
    digest: str
    title: str  # the version its data give themselves
    author: str
    pushed_at: datetime
    state: str
    approvals: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()  # whom the canary decides for
    replaces: str = ""  # what it took the place of when it last went live by promotion
    live_since: datetime | None = None

    def document(self) -> Document:
        since = self.live_since
        return {
            "edition": self.name,
            "digest": self.digest,
            "version": self.title,
            "author": self.author,
            "pushed_at": self.pushed_at.astimezone(UTC).isoformat(),
            "state": self.state,
            "approvals": list(self.approvals),
            "tenants": list(self.tenants),
            "replaces": self.replaces,
            "live_since": since.astimezone(UTC).isoformat() if since else None,
        }
