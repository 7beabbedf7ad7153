"""Who stands behind a pseudonym of the audit: questions that two officers have to agree on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_TABLE = "subject_question"


def upgrade() -> None:
    """One table; it holds pseudonyms, never whom they stand for."""
    op.create_table(
        _TABLE,
        sa.Column("question_id", sa.String(16), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("question_id", name="pk_subject_question"),
    )
    for column in ("token", "state"):
        op.create_index(f"ix_subject_question_{column}", _TABLE, [column])


def downgrade() -> None:
    """No question that was asked is forgotten."""
    drop_empty(_TABLE)
