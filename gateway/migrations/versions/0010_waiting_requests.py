"""An index to count a client's pushed requests that still wait for their person."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One client's requests by when they end."""
    op.create_index("ix_oauth_request_waiting", "oauth_request", ["client_id", "expires_at"])
