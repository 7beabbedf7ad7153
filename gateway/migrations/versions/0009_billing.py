"""Ledger, closed months, statements and disputes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LASTING = (
    "ledger_entry",
    "ledger_posting",
    "charge_line",
    "provider_weight",
    "billing_month",
    "statement",
)


def upgrade() -> None:
    """Tables of money; those that last refuse to be changed."""
    _ledger()
    _months()
    _statements()
    if op.get_bind().dialect.name == "sqlite":
        for table in _LASTING:
            for act in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, 'the {table} is append-only'); END"
                )


def _text(name: str, length: int = 200, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _instant(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _ledger() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _text("entry_id", 64),
        _text("kind", 20),
        _text("period", 7),
        _text("service_period", 7),
        _instant("booked_at"),
        _text("cause"),
        _text("corrects", nullable=True),
        _text("prev_hash", 64),
        _text("hash", 64),
        sa.PrimaryKeyConstraint("number", name="pk_ledger_entry"),
        sa.UniqueConstraint("entry_id", name="uq_ledger_entry_entry_id"),
    )
    for column in ("period", "cause"):
        op.create_index(f"ix_ledger_entry_{column}", "ledger_entry", [column])
    op.create_table(
        "ledger_posting",
        sa.Column("number", sa.Integer(), nullable=False),
        _text("account"),
        _big("fen"),
        sa.PrimaryKeyConstraint("number", "account", name="pk_ledger_posting"),
        sa.ForeignKeyConstraint(
            ["number"], ["ledger_entry.number"], name="fk_ledger_posting_number_ledger_entry"
        ),
    )
    op.create_index("ix_ledger_posting_account", "ledger_posting", ["account"])


def _months() -> None:
    op.create_table(
        "charge_line",
        _text("closing", 7),
        _text("line_id"),
        _text("month", 7),
        _text("tenant"),
        _text("grant_id"),
        _text("service", 8),
        *(_text(name) for name in ("unit", "price_ref")),
        *(_big(name) for name in ("price_micro", "answers", "qty", "billable")),
        *(_big(name) for name in ("repeated", "units", "amount_fen")),
        sa.PrimaryKeyConstraint("closing", "line_id", name="pk_charge_line"),
    )
    for column in ("month", "tenant"):
        op.create_index(f"ix_charge_line_{column}", "charge_line", [column])
    op.create_table(
        "provider_weight",
        _text("closing", 7),
        _text("month", 7),
        _text("service", 8),
        _text("provider"),
        _text("weight", 40),
        sa.PrimaryKeyConstraint(
            "closing", "month", "service", "provider", name="pk_provider_weight"
        ),
    )
    op.create_table(
        "billing_month",
        _text("month", 7),
        _instant("closed_at"),
        _text("closed_by"),
        _text("journal_head", 64),
        _big("journal_seq"),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("tariffs", sa.JSON(), nullable=False),
        _text("ledger_head", 64),
        sa.PrimaryKeyConstraint("month", name="pk_billing_month"),
    )


def _statements() -> None:
    op.create_table(
        "statement",
        _text("month", 7),
        _text("kind", 10),
        _text("party"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _text("sha256", 64),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("month", "kind", "party", name="pk_statement"),
    )
    op.create_table(
        "dispute",
        *(_text(name) for name in ("case_id", "line_id", "tenant")),
        _text("month", 7),
        _text("service", 8),
        _big("fen"),
        sa.Column("reason", sa.Text(), nullable=False),
        _text("state", 20),
        sa.Column("held", sa.JSON(), nullable=False),
        _instant("opened_at"),
        _text("opened_by"),
        _instant("decided_at", nullable=True),
        _text("decided_by", nullable=True),
        sa.PrimaryKeyConstraint("case_id", name="pk_dispute"),
    )
    for column in ("line_id", "tenant"):
        op.create_index(f"ix_dispute_{column}", "dispute", [column])
