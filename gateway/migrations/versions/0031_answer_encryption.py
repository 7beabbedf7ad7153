"""Clients whose answers about persons are encrypted for them (RFC 7516)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody's answers are, until a client's registration says how."""
    op.add_column("client", sa.Column("answer_encryption", sa.String(40), nullable=True))


def downgrade() -> None:
    """An older program answers in the clear."""
    with op.batch_alter_table("client") as batch:
        batch.drop_column("answer_encryption")
