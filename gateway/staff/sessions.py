"""Sessions of signed-in staff: opaque to the browser, hashed in the database, ended in time.

A session is always new: signing in never takes over an id the browser brought along.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.staff_tables import StaffRow, StaffSessionRow
from gateway.errors import OperatorError
from gateway.identity.model import Document
from gateway.staff.model import Visitor
from gateway.staff.secrets import Sealer, new_token

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
FRESH = timedelta(minutes=15)
LOCAL = "password"
UPSTREAM = "single_sign_on"


def open_session(
    session: Session, name: str, via: str, roles: Sequence[str], *, sealer: Sealer, now: datetime
) -> str:
    """A new session; returns the token for the browser's cookie."""
    session.execute(sa.delete(StaffSessionRow).where(StaffSessionRow.expires_at <= now))
    token = new_token()
    session.add(
        StaffSessionRow(
            digest=sealer.digest("session", token),
            id=secrets.token_hex(8),
            name=name,
            via=via,
            roles=list(roles),
            created_at=now,
            seen_at=now,
            expires_at=now + ABSOLUTE,
        )
    )
    return token


def visitor(
    session: Session, token: str, *, sealer: Sealer, guarded: Collection[str], now: datetime
) -> Visitor | None:
    """Who the token belongs to; None when it is unknown, too old, or its person may not enter."""
    row = session.get(StaffSessionRow, sealer.digest("session", token))
    if row is None or row.expires_at <= now or row.seen_at + IDLE <= now:
        return None
    account = session.get(StaffRow, row.name)
    if account is None and row.via == LOCAL:
        return None
    if account is not None and account.state != "active":
        return None
    roles = _roles(row, account, guarded)
    return Visitor(row.name, roles, row.id, row.via, row.created_at, row.expires_at)


def _roles(
    row: StaffSessionRow, account: StaffRow | None, guarded: Collection[str]
) -> tuple[str, ...]:
    """An account's own, or what the single sign-on says: guarded ones only if both do."""
    own: Sequence[str] = account.roles if account is not None else ()
    if row.via == LOCAL:
        return tuple(own)
    return tuple(role for role in row.roles if role not in guarded or role in own)


def touch(session: Session, token: str, *, sealer: Sealer, now: datetime) -> None:
    """Note that the session is in use."""
    session.execute(
        sa.update(StaffSessionRow)
        .where(StaffSessionRow.digest == sealer.digest("session", token))
        .values(seen_at=now)
    )


def end_session(session: Session, token: str, *, sealer: Sealer) -> None:
    """End the session of this token, if there is one."""
    session.execute(
        sa.delete(StaffSessionRow).where(StaffSessionRow.digest == sealer.digest("session", token))
    )


def end_one_of(session: Session, name: str, session_id: str) -> None:
    """End one of a person's own sessions; another's is as unknown as none."""
    row = session.scalars(
        sa.select(StaffSessionRow).where(
            StaffSessionRow.id == session_id, StaffSessionRow.name == name
        )
    ).first()
    if row is None:
        raise OperatorError("staff.session_unknown", "You have no such session.")
    session.delete(row)


def sessions_of(session: Session, name: str, now: datetime) -> list[Document]:
    """A person's sessions that are still good."""
    rows = session.scalars(
        sa.select(StaffSessionRow)
        .where(StaffSessionRow.name == name, StaffSessionRow.expires_at > now)
        .where(StaffSessionRow.seen_at > now - IDLE)
        .order_by(StaffSessionRow.created_at)
    )
    return [
        {
            "id": row.id,
            "via": row.via,
            "since": row.created_at.isoformat(),
            "seen_at": row.seen_at.isoformat(),
        }
        for row in rows
    ]


def csrf_token(token: str, sealer: Sealer) -> str:
    """What a page of this session has to say with every change; another site cannot know it."""
    return sealer.digest("csrf", token)


def csrf_fits(token: str, said: str, sealer: Sealer) -> bool:
    """Whether the request said it."""
    return hmac.compare_digest(csrf_token(token, sealer).encode(), said.encode())
