"""Values of the office: a person's account, a visitor with a session, and the states between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.db.staff_tables import StaffAuditRow, StaffRevisionRow, StaffRow
from gateway.identity.model import Document
from gateway.identity.record import Chain
from gateway.identity.states import Transitions

STAFF_TRANSITIONS: Transitions = {
    "invited": frozenset({"active", "disabled"}),
    "active": frozenset({"disabled", "invited"}),  # invited again: a new password and factor
    "disabled": frozenset({"invited"}),
}
GUARDED_TRANSITIONS: Transitions = {
    "without": frozenset({"asked", "held"}),  # held at once only on the machine itself
    "asked": frozenset({"held", "without"}),  # held: vouched for by a second administrator
    "held": frozenset({"asked", "without"}),  # asked again: the account was reset
}
"""An account's guarded roles: those with which somebody approves, reviews or makes accounts."""
RECORD = Chain(StaffAuditRow, StaffRevisionRow)
"""The staff's own record; sign-ins are many, so they do not make caches of the directory reload."""


@dataclass(frozen=True, slots=True)
class Account:
    """One person of the data office."""

    name: str
    display_name: str
    roles: tuple[str, ...]
    state: str
    asked_roles: tuple[str, ...] = ()
    asked_by: str | None = None
    invited_by: str | None = None

    def document(self) -> Document:
        return {
            "name": self.name,
            "display_name": self.display_name,
            "roles": list(self.roles),
            "state": self.state,
            "asked_roles": list(self.asked_roles),
            "asked_by": self.asked_by,
            "invited_by": self.invited_by,
        }


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in, by which session."""

    name: str
    roles: tuple[str, ...]
    session_id: str
    via: str
    since: datetime
    expires_at: datetime

    def document(self) -> Document:
        return {
            "name": self.name,
            "roles": list(self.roles),
            "via": self.via,
            "since": self.since.isoformat(),
            "expires_at": self.expires_at.isoformat(),
        }


def account_of(row: StaffRow) -> Account:
    """The value of a row."""
    return Account(
        row.name,
        row.display_name,
        tuple(row.roles),
        row.state,
        tuple(row.asked_roles),
        row.asked_by,
        row.invited_by,
    )
