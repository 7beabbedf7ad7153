"""Consents, their chained events, sessions of persons, and the events receivers must hear of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _consents()
    _record()
    _persons()
    _events()


def _text(name: str, length: int = 200, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _json(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=nullable)


def _instant(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _consents() -> None:
    op.create_table(
        "consent",
        _text("id", 64),
        *(_text(name) for name in ("tenant_id", "client_id", "grant_id", "product_name")),
        *(_text(name) for name in ("scenario", "purpose_code")),
        *(_json(name) for name in ("services", "scopes_asked", "scopes")),
        *(_text(name, nullable=True) for name in ("claim_ref", "policy_ref")),
        sa.Column("window_from", sa.Date(), nullable=False),
        sa.Column("window_to", sa.Date(), nullable=False),
        *(_number(name) for name in ("valid_days", "uses_max", "uses")),
        *(_text(name) for name in ("channel", "language", "notice_version")),
        *(_text(n, 64, True) for n in ("fields_preview_hash", "subject_hint", "subject_ref")),
        *(_json(name, nullable=True) for name in ("guardian", "evidence")),
        _text("state", 20),
        *(_instant(name) for name in ("created_at", "answer_by")),
        *(_instant(name, nullable=True) for name in ("valid_from", "valid_to", "ended_at")),
        *(_text(name, nullable=True) for name in ("ended_by", "end_reason")),
        _text("prev_hash", 64),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    for column in ("tenant_id", "subject_ref", "state"):
        op.create_index(f"ix_consent_{column}", "consent", [column])
    op.create_table(
        "consent_request",
        _text("client_id"),
        *(_text(name, 64) for name in ("key_hash", "body_hash", "consent_id")),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("client_id", "key_hash", name="pk_consent_request"),
    )
    op.create_index("ix_consent_request_created_at", "consent_request", ["created_at"])


def _record() -> None:
    op.create_table(
        "consent_event",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        _text("consent_id", 64),
        _instant("at"),
        *(_text(name) for name in ("act", "before", "after", "actor_kind", "actor_ref", "reason")),
        *(_text(n, 64) for n in ("evidence_hash", "content_hash", "prev_hash", "hash")),
        sa.PrimaryKeyConstraint("seq", name="pk_consent_event"),
    )
    op.create_index("ix_consent_event_consent_id", "consent_event", ["consent_id"])
    head = op.create_table(
        "consent_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _number("seq"),
        _text("hash", 64),
        sa.PrimaryKeyConstraint("id", name="pk_consent_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER consent_event_no_{act.lower()} BEFORE {act} ON consent_event "
                "BEGIN SELECT RAISE(ABORT, 'the consent record is append-only'); END"
            )


def _persons() -> None:
    op.create_table(
        "person_session",
        _text("digest", 64),
        _text("purpose"),
        *(_json(name) for name in ("person", "answer")),
        _instant("expires_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_person_session"),
    )
    op.create_index("ix_person_session_expires_at", "person_session", ["expires_at"])


def _events() -> None:
    op.create_table(
        "event_stream",
        *(_text(name) for name in ("client_id", "tenant_id")),
        _text("endpoint", 500),
        _instant("since"),
        sa.PrimaryKeyConstraint("client_id", name="pk_event_stream"),
    )
    op.create_table(
        "event_outbox",
        _text("jti", 64),
        _text("client_id"),
        _json("claims"),
        _instant("created_at"),
        _number("attempts"),
        _instant("next_at"),
        _instant("done_at", nullable=True),
        _text("fault", nullable=True),
        sa.PrimaryKeyConstraint("jti", name="pk_event_outbox"),
    )
    for column in ("client_id", "next_at", "done_at"):
        op.create_index(f"ix_event_outbox_{column}", "event_outbox", [column])
