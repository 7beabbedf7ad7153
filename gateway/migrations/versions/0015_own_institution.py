"""The institution whose own data a grant opens; null where a grant opens no such data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("grant_", sa.Column("own_institution", sa.String(12), nullable=True))
