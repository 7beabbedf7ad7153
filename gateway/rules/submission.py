"""What an insurer submitted, and how far its review has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from gateway.identity.model import Document
from gateway.identity.states import Transitions

SUBMISSION_TRANSITIONS: Transitions = {
    "submitted": frozenset({"checked", "refused", "withdrawn"}),
    "checked": frozenset({"approved", "refused", "withdrawn"}),
    "approved": frozenset({"withdrawn"}),
    "refused": frozenset(),
    "withdrawn": frozenset(),
}
LIVE = ("submitted", "checked", "approved")


@dataclass(frozen=True)
class Submission:
    """One version of a product's rules; `signed` is the compact JWS as the insurer sent it."""

    id: str
    tenant: str
    client: str
    product: str
    version: str
    first: date
    last: date  # the first day it decides no longer
    signed: str
    submitted_at: datetime
    state: str
    checked_by: str | None = None
    checked_at: datetime | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    reason: str = ""  # of a refusal or withdrawal

    def document(self) -> Document:
        """For records, seals and lists."""
        return {
            "rule_package": self.id,
            "tenant": self.tenant,
            "client": self.client,
            "product": self.product,
            "version": self.version,
            "effective": {"from": self.first.isoformat(), "to": self.last.isoformat()},
            "submitted_at": _text(self.submitted_at),
            "state": self.state,
            "checked_by": self.checked_by,
            "checked_at": _text(self.checked_at),
            "approved_by": self.approved_by,
            "approved_at": _text(self.approved_at),
            "reason": self.reason,
        }

    def for_insurer(self) -> Document:
        """As its insurer sees it: not who in the office looked at it."""
        hidden = ("tenant", "checked_by", "approved_by")
        return {name: value for name, value in self.document().items() if name not in hidden}

    def decides_on(self, day: date) -> bool:
        """Whether settlements closed on this day may be decided by it."""
        return self.state == "approved" and self.first <= day < self.last


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
