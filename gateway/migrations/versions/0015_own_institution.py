"""The institution whose own data a grant opens; null where a grant opens no such data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_unused

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("grant_", sa.Column("own_institution", sa.String(12), nullable=True))


def downgrade() -> None:
    """No grant may be of an institution."""
    drop_unused("grant_", "own_institution")
