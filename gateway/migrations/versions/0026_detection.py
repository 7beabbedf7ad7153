"""Detection of abuse: positions in the audit, what the rules keep, canaries, alarms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Five tables; none names a person."""
    turn = op.create_table(
        "detection_turn",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_detection_turn"),
    )
    op.bulk_insert(turn, [{"id": 1, "number": 0}])
    op.create_table(
        "detection_place",
        sa.Column("journal", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name="pk_detection_place"),
    )
    op.create_table(
        "detection_state",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_detection_state"),
    )
    op.create_table(
        "detection_canary",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.String(100), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name="pk_detection_canary"),
    )
    _alarm()


def _alarm() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("response", sa.String(16), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("effects", sa.JSON(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lift_asked_by", sa.String(200), nullable=False),
        sa.Column("lifted_by", sa.String(200), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lift_reason", sa.String(500), nullable=False),
        sa.Column("usual", sa.Float(), nullable=True),
        sa.Column("recorded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alarm"),
    )
    for column in ("rule", "who", "raised_at", "state", "recorded"):
        op.create_index(f"ix_alarm_{column}", "alarm", [column])


def downgrade() -> None:
    """Forget the alarms; the chained record of changes keeps that they were."""
    for table in ("alarm", "detection_canary", "detection_state", "detection_place"):
        op.drop_table(table)
    op.drop_table("detection_turn")
