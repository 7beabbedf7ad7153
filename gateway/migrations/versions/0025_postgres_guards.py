"""PostgreSQL, too, refuses to change what lasts: SQLite has had its triggers from the beginning."""

from __future__ import annotations

from alembic import op

from gateway.migrations.steps import guard, unguard

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_LASTING = (  # as they stood with this step; a later table is guarded by its own
    "directory_audit",
    "consent_event",
    "staff_audit",
    "ledger_entry",
    "ledger_posting",
    "charge_line",
    "provider_weight",
    "billing_month",
    "paper",
    "privacy_entry",
    "privacy_draw",
)


def upgrade() -> None:
    """One trigger a table; nothing is there already on PostgreSQL, all of it on SQLite."""
    if op.get_bind().dialect.name != "sqlite":
        for table in _LASTING:
            guard(table)


def downgrade() -> None:
    """The guards of PostgreSQL go."""
    if op.get_bind().dialect.name != "sqlite":
        for table in _LASTING:
            unguard(table)
