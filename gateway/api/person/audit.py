"""What persons do at their pages, in the audit journal, before the page that follows leaves.

A person is named by the journal's own pseudonym, never by the token consents know. Consents have a
chained record of their own, written with the change; the journal says who came, from where, and to
what end, beside the calls for data. Every function wants a worker thread of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

import anyio.from_thread

from gateway.consent.people import Person
from gateway.consent.record import Consent
from gateway.consent.subjects import Subjects
from gateway.errors import SluiceError
from gateway.journal.entry import Entry, login_failed
from gateway.journal.failures import FailureBudget
from gateway.journal.port import JournalUnavailable
from gateway.serving.ports import Books

Act: TypeAlias = Literal["approve", "deny", "revoke"]


@dataclass(frozen=True)
class PersonAudit:
    """Writes the events of the person pages."""

    journal: Books
    subjects: Subjects
    failures: FailureBudget = field(default_factory=FailureBudget)

    def signed_in(self, person: Person, ip: str, now: datetime, tenant: str = "") -> None:
        """Somebody proved who they are; `tenant` when a receiver sent them."""
        how = {"evidence": person.evidence.type, "provider": person.evidence.provider}
        said = {"kind": "login", "result": "done", "reason": "person_sign_in", **how}
        self._write({**said, "tenant": tenant}, person, ip, now)

    def another_person(self, person: Person, consent: Consent, ip: str, now: datetime) -> None:
        """Somebody signed in whom the request does not mean, and was sent away."""
        said = {"kind": "login", "result": "refused", "reason": "person_not_meant"}
        about = {"tenant": consent.tenant_id, "consent_id": consent.id}
        self._write({**said, **about}, person, ip, now)

    def not_signed_in(self, ip: str, now: datetime) -> None:
        """A provider's answer proved nobody; many alike become one event."""
        stamp = self.journal.stamp(now)
        if count := self.failures.take("person_sign_in", ip, stamp.time):
            entry = login_failed(stamp.event_id, stamp.time, "person_sign_in", ip, count)
            anyio.from_thread.run(self.journal.record, entry)

    def refuse_when_down(self) -> None:
        """Raise when the journal is known not to write, before anything is changed."""
        if not self.journal.healthy:
            raise JournalUnavailable(
                "journal_down", "This cannot be recorded now; try again later."
            )

    def answered(self, act: Act, person: Person, consent: Consent, ip: str, now: datetime) -> None:
        """A person, or a guardian, said yes or no, or ended what was agreed."""
        said = {"kind": "consent-change", "result": "done", "reason": act}
        self._write({**said, **_about(consent)}, person, ip, now)

    def not_kept(self, act: Act, person: Person, consent: Consent, ip: str, now: datetime) -> None:
        """What `answered` has just said did not come about: the database did not keep it.

        Where this cannot be written either, the consents' own record shows what is in force.
        """
        said = {"kind": "consent-change", "result": "failed", "reason": act}
        with suppress(SluiceError):
            self._write({**said, **_about(consent)}, person, ip, now)

    def records_told(
        self, subject: str, said: Mapping[str, object], actor: Mapping[str, object], now: datetime
    ) -> None:
        """Own records are about to leave, to the person or through a link of theirs; `subject` is
        whom they are about. Raises where it cannot be recorded: then nothing leaves."""
        about = {"subject": self.subjects.audit_token(subject), "actor": dict(actor)}
        kind = {"kind": "egress-request", "result": "done", "service": "S21"}
        self._record({**kind, **said, **about}, now)

    def decided(self, act: str, subject: str, person: Person, ip: str, now: datetime) -> None:
        """A person made or ended a link, or changed their entry in the register of opting out."""
        about = {"subject": self.subjects.audit_token(subject)}
        said = {"kind": "consent-change", "result": "done", "reason": act, "service": "S21"}
        self._write({**said, **about}, person, ip, now)

    def share_refused(self, ip: str, now: datetime) -> None:
        """A link that opens nothing was tried; many alike become one event."""
        stamp = self.journal.stamp(now)
        if count := self.failures.take("share_link", ip, stamp.time):
            entry = login_failed(stamp.event_id, stamp.time, "share_link", ip, count)
            anyio.from_thread.run(self.journal.record, entry)

    def _write(self, said: Mapping[str, object], person: Person, ip: str, now: datetime) -> None:
        actor = {"person": self.subjects.audit_token(person.ref), "ip": ip}
        self._record({**said, "actor": actor}, now)

    def _record(self, audit: Mapping[str, object], now: datetime) -> None:
        stamp = self.journal.stamp(now)
        entry = Entry(stamp.event_id, stamp.event_id, stamp.time, None, audit, None)
        anyio.from_thread.run(self.journal.record, entry)


def _about(consent: Consent) -> dict[str, object]:
    return {
        "tenant": consent.tenant_id,
        "scenario": consent.scenario,
        "consent_id": consent.id,
        "guardian": consent.ended_by == "guardian" or consent.guardian is not None,
    }
