"""The ledger of privacy budgets (differential privacy), and what was drawn for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import drop_empty

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables; lines are only added."""
    op.create_table(
        "privacy_entry",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String(8), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("geo", sa.String(16), nullable=False),
        sa.Column("epsilon", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("detail", sa.String(64), nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_privacy_entry"),
    )
    op.create_index("ix_privacy_entry_year", "privacy_entry", ["year"])
    op.create_index("ix_privacy_entry_purpose", "privacy_entry", ["purpose"])
    head = op.create_table(
        "privacy_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_privacy_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    op.create_table(
        "privacy_draw",
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("drawn", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name="pk_privacy_draw"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for table in ("privacy_entry", "privacy_draw"):
            for act in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the privacy ledger is append-only'); END"
                )


def downgrade() -> None:
    """Drops the ledger where nothing was spent."""
    drop_empty("privacy_draw", "privacy_entry")
    op.drop_table("privacy_head")
