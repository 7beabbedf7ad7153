"""The journal of cohort questions, shared by all replicas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table; rows are only added."""
    op.create_table(
        "cohort_question",
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("service", sa.String(8), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grant_id", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("release", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "service", "seq", name="pk_cohort_question"),
    )


def downgrade() -> None:
    """Drops what was made here, where nothing is in it."""
    drop_empty("cohort_question")
