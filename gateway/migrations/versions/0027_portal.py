"""The developers' portal: links that open it once, and the sessions they became."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables of keyed hashes; neither holds what opens anything."""
    op.create_table(
        "portal_link",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_portal_link"),
    )
    op.create_index("ix_portal_link_client_id", "portal_link", ["client_id"])
    op.create_index("ix_portal_link_expires_at", "portal_link", ["expires_at"])
    op.create_table(
        "portal_session",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_portal_session"),
        sa.UniqueConstraint("id", name="uq_portal_session_id"),
    )
    op.create_index("ix_portal_session_expires_at", "portal_session", ["expires_at"])


def downgrade() -> None:
    """Take both away: whoever is signed in signs in again."""
    op.drop_table("portal_session")
    op.drop_table("portal_link")
