"""Statements and credit notes in three forms, closings by two people, partial disputes.

Statements that were issued before keep their one form, with nothing in place of the others.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ACTS = ("UPDATE", "DELETE")


def upgrade() -> None:
    """New tables and columns; months that are closed get the new columns filled."""
    _papers()
    op.create_table(
        "closing_proposal",
        _text("month", 7),
        _text("digest", 64),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        _text("proposed_by"),
        sa.PrimaryKeyConstraint("month", name="pk_closing_proposal"),
    )
    for column in ("claimed_fen", "credited_fen"):
        op.add_column(
            "dispute", sa.Column(column, sa.BigInteger(), nullable=False, server_default="0")
        )
    op.execute("UPDATE dispute SET claimed_fen = fen")
    op.execute("UPDATE dispute SET credited_fen = fen WHERE state = 'upheld'")
    _months()


def _months() -> None:
    _guard("billing_month", on=False)
    for column in ("heads", "labels", "committed"):
        op.add_column(
            "billing_month", sa.Column(column, sa.JSON(), nullable=False, server_default="{}")
        )
    # The journal of the one process there was; `gateway.billing.former` finds it by the hash.
    month = sa.table("billing_month", *map(sa.column, ("month", "journal_seq", "journal_head")))
    heads = sa.table("billing_month", sa.column("month"), sa.column("heads", sa.JSON()))
    for name, seq, link in op.get_bind().execute(sa.select(month)).all():
        told = {"main": [seq, link]}
        op.execute(heads.update().where(heads.c.month == name).values(heads=told))
    for column in ("journal_seq", "journal_head"):
        op.drop_column("billing_month", column)
    _guard("billing_month", on=True)


def _papers() -> None:
    op.create_table(
        "paper",
        _text("number"),
        _text("month", 7),
        _text("kind", 12),
        _text("party"),
        _text("case_id", nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        _text("sha256", 64),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_paper"),
    )
    for column in ("month", "party"):
        op.create_index(f"ix_paper_{column}", "paper", [column])
    insert = sa.text(
        "INSERT INTO paper SELECT (CASE kind WHEN 'client' THEN 'CS-' ELSE 'PS-' END) || s.month"
        " || '-' || party, s.month, kind, party, NULL, closed_at, body, :none, sha256, signature,"
        " '' FROM statement s JOIN billing_month m ON m.month = s.month"
    )
    op.execute(insert.bindparams(sa.bindparam("none", b"", sa.LargeBinary())))
    op.drop_table("statement")
    _guard("paper", on=True)


def _guard(table: str, *, on: bool) -> None:
    """The triggers that refuse to change what lasts."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for act in _ACTS:
        name = f"{table}_no_{act.lower()}"
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'the {table} is append-only'); END"
            if on
            else f"DROP TRIGGER IF EXISTS {name}"
        )


def _text(name: str, length: int = 200, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)
