"""Rows of the authorisation server to values and back; the only place that knows its tables.

What may happen once is an UPDATE of rows whose `used_at` is NULL: whoever changed one row was
first, whatever ran beside it, in this process or another.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.authserver.model import (
    CODE_LIFE,
    MOST_WAITING,
    REQUEST_LIFE,
    VISIT_LIFE,
    Authorisation,
    Code,
    Pushed,
    RefreshToken,
)
from gateway.db.oauth_tables import (
    AuthorisationRow,
    CodeRow,
    InteractionRow,
    PushedRequestRow,
    RefreshTokenRow,
)

_KEEP = timedelta(days=1)
"""How long what is over stays: a code replayed within it still ends what it once gave."""
_KEEP_REQUESTS = timedelta(hours=1)
"""The same for requests and visits: longer than any visit, and a flood is soon forgotten."""


def keep_request(session: Session, pushed: Pushed, now: datetime) -> None:
    """Remember a pushed request."""
    session.add(
        PushedRequestRow(
            digest=pushed.digest,
            client_id=pushed.client_id,
            parameters=pushed.parameters,
            dpop_jkt=pushed.dpop_jkt,
            created_at=now,
            expires_at=now + REQUEST_LIFE,
        )
    )


def waiting_requests(
    session: Session, client_id: str, now: datetime
) -> tuple[int, datetime | None]:
    """How many requests of a client still wait, counted up to `MOST_WAITING`, and when the first
    of them will end."""
    waiting = (
        sa.select(PushedRequestRow.expires_at)
        .where(
            PushedRequestRow.client_id == client_id,
            PushedRequestRow.expires_at > now,
            PushedRequestRow.used_at.is_(None),
        )
        .order_by(PushedRequestRow.expires_at)
        .limit(MOST_WAITING)
        .subquery()
    )
    found = session.execute(sa.select(sa.func.count(), sa.func.min(waiting.c.expires_at)))
    count, soonest = found.one()
    return count, soonest


def count_visits(session: Session, request_digest: str) -> int:
    """How often a pushed request was opened."""
    visits = sa.select(sa.func.count()).where(InteractionRow.request_digest == request_digest)
    return session.scalars(visits).one()


def find_request(session: Session, digest: str) -> Pushed | None:
    """The pushed request kept under this digest."""
    row = session.get(PushedRequestRow, digest)
    if row is None:
        return None
    return Pushed(
        digest=row.digest,
        client_id=row.client_id,
        parameters=row.parameters,
        dpop_jkt=row.dpop_jkt,
        expires_at=row.expires_at,
        used=row.used_at is not None,
    )


def use_request(session: Session, digest: str, now: datetime) -> bool:
    """True for exactly one decision on a pushed request."""
    return _once(session, PushedRequestRow, PushedRequestRow.digest == digest, now)


def keep_interaction(
    session: Session, interaction_id: str, digest: str, browser: str, now: datetime
) -> None:
    """Remember a visit that begins."""
    session.add(
        InteractionRow(
            id=interaction_id,
            request_digest=digest,
            browser_digest=browser,
            created_at=now,
            expires_at=now + VISIT_LIFE,
        )
    )


def find_interaction(session: Session, interaction_id: str) -> InteractionRow | None:
    """The visit of this name."""
    return session.get(InteractionRow, interaction_id)


def finish_interaction(session: Session, interaction_id: str, now: datetime) -> bool:
    """True for exactly one end of a visit."""
    chosen = sa.and_(InteractionRow.id == interaction_id, InteractionRow.finished_at.is_(None))
    changed = session.execute(sa.update(InteractionRow).where(chosen).values(finished_at=now))
    return _count(changed) == 1


def keep_authorisation(session: Session, given: Authorisation, now: datetime) -> None:
    """Remember what a person allowed."""
    session.add(
        AuthorisationRow(
            id=given.id,
            client_id=given.client_id,
            tenant_id=given.tenant_id,
            subject=given.subject,
            subject_ref=given.subject_ref,
            consent_id=given.consent_id,
            scope=given.scope,
            details=list(given.details),
            nonce=given.nonce,
            auth_time=given.auth_time,
            created_at=now,
        )
    )
    session.flush()  # codes and refresh tokens name it


def find_authorisation(session: Session, authorisation_id: str) -> Authorisation | None:
    """The authorisation of this id."""
    row = session.get(AuthorisationRow, authorisation_id)
    if row is None:
        return None
    return Authorisation(
        id=row.id,
        client_id=row.client_id,
        tenant_id=row.tenant_id,
        subject=row.subject,
        subject_ref=row.subject_ref,
        consent_id=row.consent_id,
        scope=row.scope,
        details=tuple(row.details),
        nonce=row.nonce,
        auth_time=row.auth_time,
        ended=row.ended_at is not None,
    )


def end_authorisation(session: Session, authorisation_id: str, reason: str, now: datetime) -> None:
    """End an authorisation and its refresh tokens; the first reason stands."""
    session.execute(
        sa.update(AuthorisationRow)
        .where(AuthorisationRow.id == authorisation_id, AuthorisationRow.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason)
    )
    session.execute(
        sa.update(RefreshTokenRow)
        .where(
            RefreshTokenRow.authorisation_id == authorisation_id,
            RefreshTokenRow.ended_at.is_(None),
        )
        .values(ended_at=now)
    )


def keep_code(session: Session, digest: str, code: Code) -> None:
    """Remember a code."""
    session.add(
        CodeRow(
            digest=digest,
            authorisation_id=code.authorisation_id,
            client_id=code.client_id,
            redirect_uri=code.redirect_uri,
            challenge=code.challenge,
            dpop_jkt=code.dpop_jkt,
            expires_at=code.expires_at,
        )
    )


def find_code(session: Session, digest: str) -> Code | None:
    """The code kept under this digest, used or not."""
    row = session.get(CodeRow, digest)
    if row is None:
        return None
    return Code(
        authorisation_id=row.authorisation_id,
        client_id=row.client_id,
        redirect_uri=row.redirect_uri,
        challenge=row.challenge,
        dpop_jkt=row.dpop_jkt,
        expires_at=row.expires_at,
    )


def use_code(session: Session, digest: str, now: datetime) -> bool:
    """True for exactly one exchange of a code."""
    return _once(session, CodeRow, CodeRow.digest == digest, now)


def keep_refresh_token(session: Session, token: RefreshToken, now: datetime) -> None:
    """Remember a refresh token."""
    session.add(
        RefreshTokenRow(
            digest=token.digest,
            authorisation_id=token.authorisation_id,
            client_id=token.client_id,
            jkt=token.jkt,
            created_at=now,
            expires_at=token.expires_at,
        )
    )


def find_refresh_token(session: Session, digest: str) -> RefreshToken | None:
    """The refresh token kept under this digest."""
    row = session.get(RefreshTokenRow, digest)
    if row is None:
        return None
    return RefreshToken(
        digest=row.digest,
        authorisation_id=row.authorisation_id,
        client_id=row.client_id,
        jkt=row.jkt,
        expires_at=row.expires_at,
        ended=row.ended_at is not None,
    )


def sweep(session: Session, now: datetime) -> None:
    """Forget codes and refresh tokens that have been over for a day, visits for an hour.

    Authorisations stay: they are the record of who allowed what.
    """
    old, long_ago = now - _KEEP, now - _KEEP_REQUESTS
    stale = sa.select(PushedRequestRow.digest).where(PushedRequestRow.expires_at < long_ago)
    session.execute(sa.delete(CodeRow).where(CodeRow.expires_at < old - CODE_LIFE))
    session.execute(sa.delete(RefreshTokenRow).where(RefreshTokenRow.expires_at < old))
    session.execute(sa.delete(InteractionRow).where(InteractionRow.request_digest.in_(stale)))
    session.execute(sa.delete(PushedRequestRow).where(PushedRequestRow.expires_at < long_ago))


def _once(
    session: Session,
    table: type[PushedRequestRow] | type[CodeRow],
    chosen: sa.ColumnElement[bool],
    now: datetime,
) -> bool:
    unused = sa.and_(chosen, table.used_at.is_(None))
    changed = session.execute(sa.update(table).where(unused).values(used_at=now))
    return _count(changed) == 1


def _count(changed: sa.Result[Any]) -> int:
    """How many rows an UPDATE changed. Any: the type SQLAlchemy asks for."""
    if not isinstance(changed, sa.CursorResult):
        raise TypeError("not the result of an UPDATE")
    return changed.rowcount
