"""The conformance suite: runs, what was seen in them, and reports the data office accepted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_NAME = sa.String(200)


def upgrade() -> None:
    """Three tables; what is seen of clients is hashes, times and status codes."""
    op.create_table(
        "conformance_run",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant_id", _NAME, nullable=False),
        sa.Column("client_id", _NAME, nullable=False),
        sa.Column("binding", sa.String(20), nullable=False),
        sa.Column("consents", sa.JSON(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_conformance_run"),
    )
    op.create_index("ix_conformance_run_client_id", "conformance_run", ["client_id"])
    op.create_index("ix_conformance_run_expires_at", "conformance_run", ["expires_at"])
    op.create_table(
        "conformance_seen",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_conformance_seen"),
    )
    op.create_table(
        "conformance_report",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("tenant_id", _NAME, nullable=False),
        sa.Column("client_name", _NAME, nullable=False),
        sa.Column("suite", sa.String(20), nullable=False),
        sa.Column("ended_at", _TIME, nullable=False),
        sa.Column("accepted_at", _TIME, nullable=False),
        sa.Column("accepted_by", _NAME, nullable=False),
        sa.Column("valid_to", _TIME, nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_conformance_report"),
    )
    op.create_index("ix_conformance_report_tenant_id", "conformance_report", ["tenant_id"])


def downgrade() -> None:
    """Take them away; who went live stays live, and reports can be accepted anew."""
    for table in ("conformance_report", "conformance_seen", "conformance_run"):
        op.drop_table(table)
