"""Decisions of rule packages about claims, and what insurers say they settled of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables; none holds a number or a name of a person."""
    op.create_table(
        "claim_decision",
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("product", sa.String(40), nullable=False),
        sa.Column("settlement", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("consent_id", sa.String(64), nullable=False),
        sa.Column("package_id", sa.String(20), nullable=False),
        sa.Column("claim_ref", sa.String(100), nullable=False),
        sa.Column("policy_from", sa.Date(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("eligible", sa.Text(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("bits_milli", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name="pk_claim_decision"),
        sa.UniqueConstraint(
            "tenant_id", "settlement", "product", name="uq_claim_decision_tenant_id"
        ),
    )
    op.create_index("ix_claim_decision_subject", "claim_decision", ["tenant_id", "subject"])
    op.create_index("ix_claim_decision_decided", "claim_decision", ["tenant_id", "decided_at"])
    op.create_index("ix_claim_decision_consent", "claim_decision", ["consent_id"])
    op.create_table(
        "claim_settled",
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("product", sa.String(40), nullable=False),
        sa.Column("claim_ref", sa.String(100), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "day", "product", "claim_ref", name="pk_claim_settled"
        ),
    )


def downgrade() -> None:
    """Drops what was made here, where nothing is in it."""
    drop_empty("claim_settled", "claim_decision")
