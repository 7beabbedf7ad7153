"""Tables of FAPI identity: the data office's staff, their sessions and their record."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _accounts()
    _origins()
    _sessions()
    _record()


def _text(name: str, length: int = 200) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _digest(name: str = "digest", *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _table(name: str, key: str, *columns: Any, indexed: tuple[str, ...] = ()) -> None:
    """A table with its key, named as the models name theirs."""
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(key, name=f"pk_{name}"))
    for column in indexed:
        op.create_index(f"ix_{name}_{column}", name, [column])


def _accounts() -> None:
    _table(
        "staff_account",
        "name",
        _text("name", 64),
        _text("display_name"),
        sa.Column("roles", sa.JSON(), nullable=False),
        _text("state", 20),
        _text("password_hash", 300),
        _text("totp_sealed", 300),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        _digest("invite_digest", nullable=True),
        _instant("invite_until", nullable=True),
        _instant("created_at"),
    )
    _table("staff_recovery", "digest", _digest(), _text("name", 64), indexed=("name",))


def _origins() -> None:
    _table(
        "staff_device",
        "digest",
        _digest(),
        _text("name", 64),
        _instant("expires_at"),
        indexed=("name", "expires_at"),
    )
    _table(
        "staff_throttle",
        "digest",
        _digest(),
        sa.Column("failures", sa.Integer(), nullable=False),
        _instant("blocked_until"),
        _instant("last_at"),
        indexed=("last_at",),
    )


def _sessions() -> None:
    _table(
        "staff_session",
        "digest",
        _digest(),
        _text("id", 64),
        _text("name"),
        _text("via", 20),
        sa.Column("roles", sa.JSON(), nullable=False),
        *(_instant(name) for name in ("created_at", "seen_at", "expires_at")),
        sa.UniqueConstraint("id", name="uq_staff_session_id"),
        indexed=("name", "expires_at"),
    )
    _table(
        "staff_arrival",
        "digest",
        _digest(),
        _digest("browser"),
        _text("nonce"),
        _text("verifier"),
        _instant("expires_at"),
        indexed=("expires_at",),
    )


def _record() -> None:
    op.create_table(
        "staff_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_staff_revision"),
    )
    op.execute("INSERT INTO staff_revision (id, revision) VALUES (1, 0)")
    op.create_table(
        "staff_audit",
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        _instant("at"),
        *(_text(name) for name in ("actor", "action", "entity", "entity_id")),
        sa.Column("reason", sa.Text(), nullable=False),
        *(_text(name, 64) for name in ("before_hash", "after_hash", "prev_hash", "hash")),
        sa.PrimaryKeyConstraint("revision", name="pk_staff_audit"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER staff_audit_no_{act.lower()} BEFORE {act} ON staff_audit "
                "BEGIN SELECT RAISE(ABORT, 'the staff record is append-only'); END"
            )
