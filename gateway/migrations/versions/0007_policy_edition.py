"""Tables of the policy's editions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Editions with their files and states, and what shadows found."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "policy_edition",
        sa.Column("name", sa.String(12), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("pushed_at", instant, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("approvals", sa.JSON(), nullable=False),
        sa.Column("tenants", sa.JSON(), nullable=False),
        sa.Column("replaces", sa.String(12), nullable=False),
        sa.Column("live_since", instant, nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_policy_edition"),
    )
    only = sa.text("state IN ('shadow', 'canary', 'live')")
    op.create_index(
        "ix_policy_edition_place",
        "policy_edition",
        ["state"],
        unique=True,
        sqlite_where=only,
        postgresql_where=only,
    )
    op.create_table(
        "policy_difference",
        sa.Column("edition", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("first_at", instant, nullable=False),
        sa.Column("last_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("edition", "kind", name="pk_policy_difference"),
    )
