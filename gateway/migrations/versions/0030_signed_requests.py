"""Organisations whose requests have to be signed (RFC 9421)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody's requests have to be, until an organisation's registration says so."""
    column: sa.Column[bool] = sa.Column(
        "signed_requests", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("tenant", column)


def downgrade() -> None:
    """What an older program does not know it does not ask for."""
    with op.batch_alter_table("tenant") as batch:
        batch.drop_column("signed_requests")
