"""Releases that come into force or are withdrawn, as audit events: whoever did it, by whatever way.

The office's own publishing is recorded with who did it. A build on a machine without a database, or
files put in place by hand, are not; so a serving process says of every release it begins to answer
from, or no longer may, that it saw so: once, however many processes serve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import writing
from gateway.db.office_journal import OfficeEvent, Sought, read_events, record_event

_PUBLISHED, _WITHDRAWN = "release-publish", "release-withdraw"


@dataclass
class ShelfNotes:
    """What of the shelf is on record already, as far as this process knows."""

    engine: sa.Engine
    clock: Callable[[], datetime]
    _known: set[tuple[str, str]] = field(default_factory=set)

    def note(self, in_force: Mapping[str, str], withdrawn: Mapping[str, Mapping[str, str]]) -> None:
        """Record what is new; `in_force` is by service, `withdrawn` says when and why. Blocks."""
        seen = {(_PUBLISHED, release): service for service, release in in_force.items()}
        seen |= {(_WITHDRAWN, release): "" for release in withdrawn}
        fresh = {each: service for each, service in seen.items() if each not in self._known}
        if not fresh:
            return
        with writing(self.engine) as session:
            for (kind, release), service in fresh.items():
                self._record(session, kind, release, service, withdrawn.get(release, {}))
        self._known |= fresh.keys()

    def _record(
        self, session: Session, kind: str, release: str, service: str, told: Mapping[str, str]
    ) -> None:
        name = f"{kind} {release}"[:64]
        if read_events(session, Sought(request=name), 1):
            return
        facts = {"action": "seen", "release": release, "reason": told.get("reason", "")}
        event = OfficeEvent(
            kind=kind,
            result="done",
            time=self.clock(),
            actor={"user": "sluice"},
            service=service or release.partition("-")[0],
            request_id=name,
            facts=facts,
        )
        record_event(session, event)
