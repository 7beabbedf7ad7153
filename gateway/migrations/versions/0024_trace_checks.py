"""What bounds the checking of trace codes: checks by device and day, unknown codes by client."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables of counts; neither holds a code."""
    op.create_table(
        "trace_device",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "device", name="pk_trace_device"),
    )
    op.create_table(
        "trace_miss",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "client_id", name="pk_trace_miss"),
    )


def downgrade() -> None:
    """What was counted within the day is forgotten."""
    op.drop_table("trace_miss")
    op.drop_table("trace_device")
