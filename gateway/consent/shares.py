"""Share links: a person opens part of their own records to one receiver, for hours and a few looks.

A link is a secret the person hands over; its keyed hash is kept. Wrong, expired, used up and ended
links cannot be told apart: each is one statement that changes no row.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self, TypeAlias

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from gateway.consent.record import Document
from gateway.consent.subjects import Subjects
from gateway.db.share_tables import PersonOptOutRow, PersonShareRow
from gateway.errors import BadRequest, NotFound

Scope: TypeAlias = Literal["COV", "SETL", "DX", "FEE", "DX_SENSITIVE"]
MOST_HOURS: Final = 24
MOST_LIVE: Final = 20
"""Open links one person may have at a time."""
_Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class WantedShare(BaseModel):
    """What a person opens to whom. `COV` enrolments, `SETL` settlements, `DX` their main diagnoses,
    `FEE` their lines; `DX_SENSITIVE` shows sensitive ones too and is confirmed by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = "self"
    receiver: _Line
    purpose: _Line
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=5)]
    hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] = 1
    uses_max: Annotated[int, Field(ge=1, le=10)] = 1
    confirm_sensitive: bool = False

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        scopes = set(self.scopes)
        if len(scopes) != len(self.scopes):
            raise ValueError("a scope is named twice")
        if scopes & {"DX", "FEE"} and "SETL" not in scopes:
            raise ValueError("DX and FEE belong to settlements: name SETL too")
        if "DX_SENSITIVE" in scopes and not scopes & {"DX", "FEE"}:
            raise ValueError("DX_SENSITIVE widens DX or FEE: name one of them")
        if ("DX_SENSITIVE" in scopes) != self.confirm_sensitive:
            raise ValueError("confirm_sensitive is true exactly where DX_SENSITIVE is opened")
        return self


def make(
    session: Session, subjects: Subjects, wanted: WantedShare, subject: str, now: datetime
) -> tuple[PersonShareRow, str]:
    """A new link about this person; returns it with its token, which is kept nowhere."""
    live = sa.select(sa.func.count()).where(
        PersonShareRow.subject_ref == subject,
        PersonShareRow.revoked_at.is_(None),
        PersonShareRow.expires_at > now,
        PersonShareRow.uses < PersonShareRow.uses_max,
    )
    if (session.scalar(live) or 0) >= MOST_LIVE:
        raise BadRequest(
            "too_many_shares",
            f"At most {MOST_LIVE} links may be open at a time; end one first.",
            f"最多可同时开放 {MOST_LIVE} 个分享链接，请先结束一个。",
        )
    token = secrets.token_urlsafe(32)
    row = PersonShareRow(
        id=f"sh-{secrets.token_hex(12)}",
        digest=_digest(subjects, token),
        subject_ref=subject,
        receiver=wanted.receiver,
        purpose=wanted.purpose,
        scopes=list(wanted.scopes),
        created_at=now,
        expires_at=now + timedelta(hours=wanted.hours),
        uses=0,
        uses_max=wanted.uses_max,
        revoked_at=None,
    )
    session.add(row)
    return row, token


def take(session: Session, subjects: Subjects, token: str, now: datetime) -> PersonShareRow | None:
    """Count one look under a link; None where it is wrong, expired, used up or ended."""
    return session.scalar(
        sa.update(PersonShareRow)
        .where(
            PersonShareRow.digest == _digest(subjects, token),
            PersonShareRow.revoked_at.is_(None),
            PersonShareRow.expires_at > now,
            PersonShareRow.uses < PersonShareRow.uses_max,
        )
        .values(uses=PersonShareRow.uses + 1)
        .returning(PersonShareRow)
    )


def of_persons(session: Session, subjects: Collection[str]) -> Sequence[PersonShareRow]:
    """Links about these persons, newest first."""
    mine = sa.select(PersonShareRow).where(PersonShareRow.subject_ref.in_(subjects))
    return session.scalars(mine.order_by(PersonShareRow.created_at.desc())).all()


def end(
    session: Session, share_id: str, subjects: Collection[str], now: datetime
) -> PersonShareRow:
    """End a link at once; raises the same for another person's and for none."""
    row = session.get(PersonShareRow, share_id)
    if row is None or row.subject_ref not in subjects:
        raise NotFound("unknown_share", "There is no such link.", "没有该分享链接。")
    if row.revoked_at is None:
        row.revoked_at = now
    return row


def document(row: PersonShareRow, now: datetime) -> Document:
    """A link as its person sees it."""
    live = row.revoked_at is None and row.expires_at > now and row.uses < row.uses_max
    return {
        "share_id": row.id,
        "receiver": row.receiver,
        "purpose": row.purpose,
        "scopes": row.scopes,
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "uses": row.uses,
        "uses_max": row.uses_max,
        "revoked_at": None if row.revoked_at is None else row.revoked_at.isoformat(),
        "open": live,
    }


def opted_out_since(session: Session, subject: str) -> datetime | None:
    """Since when a person takes no part in joint modelling; None where they do."""
    row = session.get(PersonOptOutRow, subject)
    return None if row is None else row.since


def everybody_opted_out(session: Session) -> list[str]:
    """References of all who take no part."""
    return list(session.scalars(sa.select(PersonOptOutRow.subject_ref)))


def opt_out(session: Session, subject: str, now: datetime) -> None:
    """Enter a person into the register; one who is there stays since then."""
    if session.get(PersonOptOutRow, subject) is None:
        session.add(PersonOptOutRow(subject_ref=subject, since=now))


def opt_in(session: Session, subject: str) -> None:
    """Take a person out of the register."""
    session.execute(sa.delete(PersonOptOutRow).where(PersonOptOutRow.subject_ref == subject))


def _digest(subjects: Subjects, token: str) -> str:
    return subjects.mac("share", token)
