"""Waivers of data quality, signed by two people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table; what is signed in a row is sealed."""
    op.create_table(
        "quality_waiver",
        sa.Column("waiver_id", sa.String(20), nullable=False),
        sa.Column("covers", sa.JSON(), nullable=False),
        sa.Column("first_period", sa.String(7), nullable=False),
        sa.Column("last_period", sa.String(7), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("proposed_by", sa.String(200), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_by", sa.String(200), nullable=True),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("waiver_id", name="pk_quality_waiver"),
    )


def downgrade() -> None:
    """Drops what was made here, where nothing is in it."""
    drop_empty("quality_waiver")
