"""Guarded roles that are asked for, who invited, single sign-ons linked to accounts.

Sign-ons that are only begun leave no row any more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns of an account, links, sign-ons that were used; who invited is in the staff record."""
    instant = sa.DateTime(timezone=True)
    op.add_column(
        "staff_account",
        sa.Column("asked_roles", sa.JSON(), nullable=False, server_default="[]"),
    )
    op.add_column("staff_account", sa.Column("asked_by", sa.String(200), nullable=True))
    op.add_column("staff_account", sa.Column("invited_by", sa.String(200), nullable=True))
    op.execute(
        "UPDATE staff_account SET invited_by = (SELECT actor FROM staff_audit"
        " WHERE entity = 'staff' AND entity_id = staff_account.name"
        " AND action IN ('invite', 'reset') ORDER BY revision DESC LIMIT 1)"
    )
    op.create_table(
        "staff_link",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("linked_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_staff_link"),
        sa.UniqueConstraint("name", name="uq_staff_link_name"),
    )
    op.create_table(
        "staff_sign_on",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_staff_sign_on"),
    )
    op.create_index("ix_staff_sign_on_expires_at", "staff_sign_on", ["expires_at"])
    op.drop_table("staff_arrival")
