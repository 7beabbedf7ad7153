"""Short sessions of signed-in persons: a secret in the browser, its keyed hash in the database.

A session serves one purpose: one interaction with the authorisation server, or a person's own
pages. Its secret is made at sign-in and never existed before, so it cannot have been planted.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent.people import Person, person_of
from gateway.consent.record import Document
from gateway.consent.subjects import Subjects
from gateway.db.consent_tables import PersonSessionRow

HOME = "home"
"""The purpose of a session for a person's own pages."""
LIFE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Held:
    """A live session: who, and what they have answered so far."""

    person: Person
    answer: Document
    digest: str = field(repr=False)


def open_session(
    session: Session, subjects: Subjects, purpose: str, person: Person, now: datetime
) -> str:
    """Begin a session; returns the secret for the browser, which is kept nowhere else."""
    text = secrets.token_urlsafe(32)
    session.add(
        PersonSessionRow(
            digest=subjects.mac("session", text),
            purpose=purpose,
            person=person.document(),
            answer={},
            expires_at=now + LIFE,
        )
    )
    return text


def read_session(
    session: Session, subjects: Subjects, text: str, purpose: str, now: datetime
) -> Held | None:
    """The live session behind a browser's secret, if it serves this purpose."""
    row = session.get(PersonSessionRow, subjects.mac("session", text)) if text else None
    if row is None or row.purpose != purpose or row.expires_at <= now:
        return None
    return Held(person_of(row.person), dict(row.answer), row.digest)


def remember(session: Session, held: Held, answer: Document) -> None:
    """Keep what the person has answered on one screen for the next."""
    session.execute(
        sa.update(PersonSessionRow)
        .where(PersonSessionRow.digest == held.digest)
        .values(answer=answer)
    )


def close_session(session: Session, held: Held) -> None:
    """End a session."""
    session.execute(sa.delete(PersonSessionRow).where(PersonSessionRow.digest == held.digest))
