"""The list of consents of a programme's members, by its hash; null where a grant has none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_unused

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    op.add_column("grant_", sa.Column("enrolment_list_hash", sa.String(64), nullable=True))


def downgrade() -> None:
    """No grant may have a list of who is enrolled."""
    drop_unused("grant_", "enrolment_list_hash")
