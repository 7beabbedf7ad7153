"""Validation runs of jobs, approved by two people, and the review of what they leave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty, refuse_where

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs have a kind; those before, and those of the version before, are of the sandbox."""
    for column in (
        sa.Column("kind", sa.String(12), nullable=False, server_default="sandbox"),
        sa.Column("origin", sa.String(32), nullable=True),
        sa.Column("request_key", sa.String(128), nullable=True),
        sa.Column("checked_by", sa.String(200), nullable=True),
        sa.Column("approved_by", sa.String(200), nullable=True),
    ):
        op.add_column("sandbox_job", column)
    keyed = ["tenant_id", "client_id", "request_key"]
    op.create_index("ix_sandbox_job_request_key", "sandbox_job", keyed, unique=True)
    op.create_table(
        "sandbox_review",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("passed_by", sa.String(200), nullable=True),
        sa.Column("decided_by", sa.String(200), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_sandbox_review"),
    )
    op.create_index("ix_sandbox_review_state", "sandbox_review", ["state", "changed_at"])


def downgrade() -> None:
    """Drops the reviews and what validation runs have; keys of repeated requests are forgotten."""
    refuse_where("sandbox_job", "kind", "sandbox")
    drop_empty("sandbox_review")
    op.drop_index("ix_sandbox_job_request_key", "sandbox_job")
    for column in ("approved_by", "checked_by", "request_key", "origin", "kind"):
        op.drop_column("sandbox_job", column)
