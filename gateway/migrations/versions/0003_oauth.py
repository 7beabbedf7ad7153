"""Tables of the authorisation server: requests, interactions, authorisations, codes, refresh."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _requests()
    _authorisations()
    _codes()
    _refresh_tokens()


def _text(name: str, length: int = 200, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _instant(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _requests() -> None:
    op.create_table(
        "oauth_request",
        _text("digest", 64),
        _text("client_id"),
        sa.Column("parameters", sa.JSON(), nullable=False),
        _text("dpop_jkt", nullable=True),
        _instant("created_at"),
        _instant("expires_at"),
        _instant("used_at", nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_request"),
    )
    op.create_index("ix_oauth_request_expires_at", "oauth_request", ["expires_at"])
    op.create_table(
        "oauth_interaction",
        _text("id", 64),
        _text("request_digest", 64),
        _text("browser_digest", 64),
        _instant("created_at"),
        _instant("expires_at"),
        _instant("finished_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["request_digest"],
            ["oauth_request.digest"],
            name="fk_oauth_interaction_request_digest_oauth_request",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_interaction"),
    )
    for column in ("request_digest", "expires_at"):
        op.create_index(f"ix_oauth_interaction_{column}", "oauth_interaction", [column])


def _authorisations() -> None:
    op.create_table(
        "oauth_authorisation",
        _text("id", 64),
        *(_text(name) for name in ("client_id", "tenant_id", "subject", "subject_ref")),
        _text("consent_id", nullable=True),
        _text("scope"),
        sa.Column("details", sa.JSON(), nullable=False),
        _text("nonce", nullable=True),
        _instant("auth_time"),
        _instant("created_at"),
        _instant("ended_at", nullable=True),
        _text("end_reason", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_authorisation"),
    )
    for column in ("client_id", "consent_id"):
        op.create_index(f"ix_oauth_authorisation_{column}", "oauth_authorisation", [column])


def _codes() -> None:
    op.create_table(
        "oauth_code",
        _text("digest", 64),
        _text("authorisation_id", 64),
        _text("client_id"),
        _text("redirect_uri", 500),
        _text("challenge"),
        _text("dpop_jkt", nullable=True),
        _instant("expires_at"),
        _instant("used_at", nullable=True),
        _of_authorisation("oauth_code"),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_code"),
    )
    for column in ("authorisation_id", "expires_at"):
        op.create_index(f"ix_oauth_code_{column}", "oauth_code", [column])


def _refresh_tokens() -> None:
    op.create_table(
        "oauth_refresh_token",
        _text("digest", 64),
        _text("authorisation_id", 64),
        _text("client_id"),
        _text("jkt", nullable=True),
        _instant("created_at"),
        _instant("expires_at"),
        _instant("ended_at", nullable=True),
        _of_authorisation("oauth_refresh_token"),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_refresh_token"),
    )
    for column in ("authorisation_id", "expires_at"):
        op.create_index(f"ix_oauth_refresh_token_{column}", "oauth_refresh_token", [column])


def _of_authorisation(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["authorisation_id"],
        ["oauth_authorisation.id"],
        name=f"fk_{table}_authorisation_id_oauth_authorisation",
    )
