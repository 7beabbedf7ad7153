"""Training jobs, their attempts and outputs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables of the package `sandbox`."""
    op.create_table(
        "sandbox_job",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("tenant_id", sa.String(200), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("spec_digest", sa.String(64), nullable=False),
        sa.Column("code_digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("submitted_at", sa.String(32), nullable=False),
        sa.Column("changed_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_sandbox_job"),
    )
    op.create_index("ix_sandbox_job_tenant_id", "sandbox_job", ["tenant_id", "submitted_at"])
    op.create_index("ix_sandbox_job_state", "sandbox_job", ["state", "submitted_at"])
    op.create_table(
        "sandbox_attempt",
        sa.Column("attempt_id", sa.String(32), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("cpu_ms", sa.BigInteger(), nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.Text(), nullable=False),
        sa.Column("began_at", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_sandbox_attempt"),
        sa.UniqueConstraint("job_id", "number", name="uq_sandbox_attempt_job_id"),
    )
    op.create_table(
        "sandbox_output",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_sandbox_output"),
    )


def downgrade() -> None:
    """Drops what was made here, where nothing is in it."""
    drop_empty("sandbox_output", "sandbox_attempt", "sandbox_job")
