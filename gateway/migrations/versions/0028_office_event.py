"""The office journal: an audit event for every act, in the act's own transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.steps import guard

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TABLE = "office_event"


def upgrade() -> None:
    """One table that is added to only; `body` is what the chain of hashes runs over."""
    if sa.inspect(op.get_bind()).has_table(_TABLE):
        return  # left there by a way back
    op.create_table(
        _TABLE,
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(200), nullable=True),
        sa.Column("service", sa.String(200), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_office_event"),
        sa.UniqueConstraint("event_id", name="uq_office_event_event_id"),
    )
    op.create_index("ix_office_event_request_id", _TABLE, ["request_id"])
    listing = ["event_id", "kind", "result", "tenant", "service"]
    op.create_index("ix_office_event_listing", _TABLE, listing)
    guard(_TABLE)


def downgrade() -> None:
    """Nothing of the audit is forgotten: a journal that holds events stays, and earlier programs do
    not know of it; what they do meanwhile is in the other records alone."""
    held = sa.select(sa.literal(1)).select_from(sa.table(_TABLE)).limit(1)
    if op.get_bind().execute(held).first() is None:
        op.drop_table(_TABLE)
