"""What a signed-in person may do with their own consents: the same for pages and for `/me`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from gateway.api.person.office import Office
from gateway.consent import changes
from gateway.consent.chain import history
from gateway.consent.changes import Deed
from gateway.consent.desk import Consents
from gateway.consent.history import Access, accesses
from gateway.consent.people import Person
from gateway.consent.record import Actor, Consent
from gateway.consent.rules import ADULT
from gateway.consent.store import of_subjects
from gateway.db.consent_tables import ConsentEventRow
from gateway.db.engine import reading, writing
from gateway.errors import SluiceError


def subjects_of(person: Person) -> tuple[str, ...]:
    """Whose consents a person sees: their own, and those of children in their care."""
    return tuple(dict.fromkeys((person.ref, *person.subjects(ADULT))))


def my_consents(consents: Consents, person: Person) -> Sequence[Consent]:
    """Their consents, newest first."""
    return consents.of_person(subjects_of(person))


def my_consent(consents: Consents, person: Person, consent_id: str) -> Consent:
    """One of their consents; raises the same for another's and for none."""
    with reading(consents.engine) as session:
        return of_subjects(session, consent_id, subjects_of(person))


def my_history(consents: Consents, consent: Consent) -> Sequence[ConsentEventRow]:
    """What happened to a consent, in order."""
    with reading(consents.engine) as session:
        return history(session, consent.id)


def end_consent(office: Office, person: Person, consent_id: str, ip: str, now: datetime) -> Consent:
    """Revoke one of their consents, with every token that hangs on it."""
    with writing(office.engine) as session:
        consent = of_subjects(session, consent_id, subjects_of(person))
        kind = Actor("person" if consent.subject_ref == person.ref else "guardian", person.ref)
        deed = Deed(kind, now, "ended_by_person", person.evidence.document())
        ended = changes.revoke(session, consent.id, deed)
    # The consent's own chained record has it: a journal that is down keeps nobody from ending one.
    with suppress(SluiceError):
        office.audit.answered("revoke", person, ended, ip, now)
    return ended


def my_accesses(office: Office, person: Person) -> tuple[Access, ...]:
    """Who looked, from the audit journal."""
    tokens = [office.subjects.audit_token(each) for each in subjects_of(person)]
    return accesses(office.journal, tokens)
