"""Tables of FAPI identity: revocation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Revocations and the counter by which replicas follow them."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "revocation",
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("revoked_at", instant, nullable=False),
        sa.Column("until", instant, nullable=False),
        sa.Column("lifted", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name="pk_revocation"),
    )
    op.create_index("ix_revocation_until", "revocation", ["until"])
    op.create_index("ix_revocation_number", "revocation", ["number"])
    number = op.create_table(
        "revocation_number",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocation_number"),
    )
    op.bulk_insert(number, [{"id": 1, "number": 0}])
