"""Tables of consents: the record, its chained events, who asked twice, sessions, events to send."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class ConsentRow(Table):
    """One consent of one person to one receiver for one purpose (SPEC §8.1)."""

    __tablename__ = "consent"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(index=True)
    client_id: Mapped[str]
    grant_id: Mapped[str]
    product_name: Mapped[str]
    scenario: Mapped[str]
    purpose_code: Mapped[str]
    services: Mapped[list[str]]
    scopes_asked: Mapped[list[str]]
    scopes: Mapped[list[str]]
    claim_ref: Mapped[str | None]
    policy_ref: Mapped[str | None]
    window_from: Mapped[date]
    window_to: Mapped[date]
    valid_days: Mapped[int]
    uses_max: Mapped[int]
    uses: Mapped[int]
    channel: Mapped[str]
    language: Mapped[str]
    notice_version: Mapped[str]
    fields_preview_hash: Mapped[str | None] = mapped_column(sa.String(64))
    subject_hint: Mapped[str | None] = mapped_column(sa.String(64))
    subject_ref: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    guardian: Mapped[dict[str, object] | None] = mapped_column(sa.JSON(none_as_null=True))
    evidence: Mapped[dict[str, object] | None] = mapped_column(sa.JSON(none_as_null=True))
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    created_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    valid_from: Mapped[datetime | None]
    valid_to: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    end_reason: Mapped[str | None]
    prev_hash: Mapped[str] = mapped_column(sa.String(64))


class ConsentEventRow(Table):
    """One change of one consent: append-only, chained over all consents, in its transaction."""

    __tablename__ = "consent_event"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    consent_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    at: Mapped[datetime]
    act: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    actor_kind: Mapped[str]
    actor_ref: Mapped[str]
    reason: Mapped[str]
    evidence_hash: Mapped[str] = mapped_column(sa.String(64))
    content_hash: Mapped[str] = mapped_column(sa.String(64))
    prev_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class ConsentHeadRow(Table):
    """One row: number and hash of the newest event, so that a cut-off end is noticed."""

    __tablename__ = "consent_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(sa.String(64))


class ConsentRequestRow(Table):
    """An Idempotency-Key a client has used, with a keyed hash of what it asked for."""

    __tablename__ = "consent_request"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    body_hash: Mapped[str] = mapped_column(sa.String(64))
    consent_id: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(index=True)


class PersonSessionRow(Table):
    """A signed-in person's short session; its secret is kept as a keyed hash only."""

    __tablename__ = "person_session"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    purpose: Mapped[str]
    person: Mapped[dict[str, object]]
    answer: Mapped[dict[str, object]]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class EventStreamRow(Table):
    """Where a client wants its events: pushed to an address, or kept until it polls."""

    __tablename__ = "event_stream"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    endpoint: Mapped[str] = mapped_column(sa.String(500))
    since: Mapped[datetime]


class EventOutboxRow(Table):
    """An event a client must still hear of, written in the transaction of what it tells."""

    __tablename__ = "event_outbox"

    jti: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(index=True)
    claims: Mapped[dict[str, object]]
    created_at: Mapped[datetime]
    attempts: Mapped[int]
    next_at: Mapped[datetime] = mapped_column(index=True)
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    fault: Mapped[str | None]
