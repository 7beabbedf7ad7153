"""How often a person looked at their own records: the quotas of scenario SC10."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One count for each person and day, or month."""
    op.create_table(
        "person_use",
        sa.Column("subject_ref", sa.String(64), nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject_ref", "period", name="pk_person_use"),
    )


def downgrade() -> None:
    """An older program counts none."""
    op.drop_table("person_use")
