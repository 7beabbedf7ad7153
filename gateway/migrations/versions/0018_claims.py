"""Refusals, answers and settlements of services about one person's claim."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables; none holds a number or a name of a person."""
    op.create_table(
        "claim_miss",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_claim_miss"),
    )
    op.create_index("ix_claim_miss_at", "claim_miss", ["at"])
    op.create_index("ix_claim_miss_pair", "claim_miss", ["client_id", "subject"])
    op.create_table(
        "claim_answer",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("grant_id", sa.String(200), nullable=False),
        sa.Column("service", sa.String(8), nullable=False),
        sa.Column("consent_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settlements", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_claim_answer"),
    )
    op.create_index("ix_claim_answer_grant", "claim_answer", ["grant_id", "at"])
    op.create_table(
        "claim_settlement",
        sa.Column("consent_id", sa.String(64), nullable=False),
        sa.Column("settlement", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refunded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("consent_id", "settlement", name="pk_claim_settlement"),
    )
    op.create_index("ix_claim_settlement_settlement", "claim_settlement", ["settlement"])


def downgrade() -> None:
    """Drops what was made here, where nothing is in it."""
    drop_empty("claim_settlement", "claim_answer", "claim_miss")
