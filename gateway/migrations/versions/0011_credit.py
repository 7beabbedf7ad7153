"""How much a tenant, or one of its grants, may owe for a month; null where nobody set a limit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column each."""
    for table in ("tenant", "grant_"):
        op.add_column(table, sa.Column("credit_limit_fen", sa.BigInteger(), nullable=True))
