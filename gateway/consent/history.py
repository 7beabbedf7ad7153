"""Who looked: person-level accesses to one person's record, from the audit journal.

The journal names a person by a pseudonym of its own (`Subjects.audit_token`) in `subject`; it is
shown to the person as soon as it is recorded, so always within the 24 hours of SPEC §8.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.journal.looking import Looking

MOST = 200


@dataclass(frozen=True, slots=True)
class Access:
    """One look at a person's record, answered or refused."""

    event_id: str
    time: str
    tenant: str
    service: str
    consent_id: str | None
    fields: tuple[str, ...]
    result: str
    share_id: str | None = None

    def document(self) -> dict[str, object]:
        return {
            "event_id": self.event_id,
            "time": self.time,
            "receiver": self.tenant,
            "service": self.service,
            "consent_id": self.consent_id,
            "fields": list(self.fields),
            "result": self.result,
            **({"share_id": self.share_id} if self.share_id else {}),
        }


def accesses(journal: Looking, tokens: Iterable[str], most: int = MOST) -> tuple[Access, ...]:
    """The newest accesses under these pseudonyms; none when there is no journal yet."""
    found = [_access(json.loads(body)) for body in journal.of_subjects(list(tokens), most)]
    return tuple(sorted(found, key=lambda each: each.time, reverse=True)[:most])


def _access(body: dict[str, object]) -> Access:
    columns = body.get("columns")
    listed = columns if isinstance(columns, list) else []
    consent, share = body.get("consent_id"), body.get("share_id")
    return Access(
        event_id=str(body["event_id"]),
        time=str(body["time"]),
        tenant=str(body.get("tenant", "")),
        service=str(body.get("service", "")),
        consent_id=None if consent is None else str(consent),
        fields=tuple(str(each["field"]) for each in listed),
        result=str(body["result"]),
        share_id=None if share is None else str(share),
    )
