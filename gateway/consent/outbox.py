"""Events a receiver must hear of, written in the transaction of what they tell.

They wait here until they are pushed or polled and acknowledged, across restarts. Names of the
events are authorised, revoked, expired, changed; and refunded, of a settlement told of.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent.record import NOT_ANSWERED, Consent, Document
from gateway.db.consent_tables import EventOutboxRow, EventStreamRow

KIND = "urn:sluice:event:consent:"
KEEP = timedelta(days=30)
"""An event nobody fetched is dropped after this; the consent itself can still be read."""
LEASE = timedelta(seconds=60)
AT_ONCE = 2
"""The most events of one client that are under way at a time."""
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(hours=1)

_NAMES = {"AUTHORISED": "authorised", "REVOKED": "revoked", "EXPIRED": "expired"}


@dataclass(frozen=True, slots=True)
class Due:
    """One event to be sent now."""

    jti: str
    client_id: str
    endpoint: str
    claims: Document
    attempts: int


def event_name(state: str, reason: str | None) -> str:
    """What happened, in the receiver's words: an unanswered request has expired too."""
    return "expired" if reason == NOT_ANSWERED else _NAMES.get(state, "changed")


def put(
    session: Session,
    consent: Consent,
    name: str,
    now: datetime,
    more: Mapping[str, object] | None = None,
) -> str:
    """Tell the receiver; the claims name the consent and its state, never the person. `more` is
    what an event has to say besides."""
    jti = secrets.token_urlsafe(18)
    told = {
        "consent_id": consent.id,
        "state": consent.state,
        "reason": consent.end_reason,
        "valid_to": consent.valid_to and consent.valid_to.isoformat(),
        "at": now.isoformat(),
        **(more or {}),
    }
    claims: Document = {
        "jti": jti,
        "iat": int(now.timestamp()),
        "aud": consent.client_id,
        "txn": consent.id,
        "sub_id": {"format": "opaque", "id": consent.id},
        "events": {f"{KIND}{name}": told},
    }
    session.add(
        EventOutboxRow(
            jti=jti,
            client_id=consent.client_id,
            claims=claims,
            created_at=now,
            attempts=0,
            next_at=now,
            done_at=None,
            fault=None,
        )
    )
    return jti


def lease(session: Session, now: datetime, limit: int) -> tuple[Due, ...]:
    """Events to push now, few of each client, so that a slow one does not hold up the others.

    No other process gets them until the lease is over.
    """
    turn = sa.func.row_number().over(
        partition_by=EventOutboxRow.client_id,
        order_by=(EventOutboxRow.created_at, EventOutboxRow.jti),
    )
    waiting = (
        sa.select(EventOutboxRow.jti, turn.label("turn"))
        .where(EventOutboxRow.done_at.is_(None), EventOutboxRow.next_at <= now)
        .subquery()
    )
    rows = session.execute(
        sa.select(EventOutboxRow, EventStreamRow.endpoint)
        .join(waiting, waiting.c.jti == EventOutboxRow.jti)
        .join(EventStreamRow, EventStreamRow.client_id == EventOutboxRow.client_id)
        .where(waiting.c.turn <= AT_ONCE)
        .order_by(EventOutboxRow.created_at)
        .limit(limit)
    ).all()
    for row, _ in rows:
        row.next_at = now + LEASE
        row.attempts += 1
    return tuple(
        Due(row.jti, row.client_id, endpoint, dict(row.claims), row.attempts)
        for row, endpoint in rows
    )


def settle(session: Session, due: Due, fault: str | None, now: datetime) -> None:
    """Note how a push went: heard, or to be tried again after a growing pause."""
    pause = min(FIRST_RETRY * 2 ** min(due.attempts - 1, 20), LONGEST_RETRY)
    heard = {"done_at": now, "fault": None}
    failed = {"next_at": now + pause, "fault": fault}
    session.execute(
        sa.update(EventOutboxRow)
        .where(EventOutboxRow.jti == due.jti, EventOutboxRow.done_at.is_(None))
        .values(**(heard if fault is None else failed))
    )


def waiting(session: Session, client_id: str, limit: int) -> tuple[Document, ...]:
    """Claims of the client's oldest unacknowledged events."""
    rows = session.scalars(
        sa.select(EventOutboxRow)
        .where(EventOutboxRow.client_id == client_id, EventOutboxRow.done_at.is_(None))
        .order_by(EventOutboxRow.created_at, EventOutboxRow.jti)
        .limit(limit)
    )
    return tuple(dict(row.claims) for row in rows)


def acknowledge(
    session: Session, client_id: str, heard: list[str], faults: Mapping[str, str], now: datetime
) -> None:
    """What the client says it has taken in or cannot take in; only its own events."""
    for jti in (*heard, *faults):
        session.execute(
            sa.update(EventOutboxRow)
            .where(
                EventOutboxRow.jti == jti,
                EventOutboxRow.client_id == client_id,
                EventOutboxRow.done_at.is_(None),
            )
            .values(done_at=now, fault=faults.get(jti))
        )


def forget_old(session: Session, now: datetime) -> None:
    """Drop what was heard, and what nobody fetched for a month."""
    old = EventOutboxRow.created_at < now - KEEP
    heard = EventOutboxRow.done_at < now - timedelta(days=1)
    session.execute(sa.delete(EventOutboxRow).where(sa.or_(old, heard)))
