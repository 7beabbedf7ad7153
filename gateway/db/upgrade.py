"""Bring the operational database to the schema this program needs (Alembic, one history)."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gateway.db.engine import open_engine

_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def alembic_config(connection: sa.Connection) -> Config:
    """Alembic's configuration on an open connection; no ini file, no second place to keep a URL."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str) -> None:
    """Create or migrate the database; does nothing when it is already at the newest revision."""
    engine = open_engine(url)
    try:
        # The write lock is taken first, so two processes that start together migrate in turn.
        with engine.execution_options(sluice_write=True).begin() as connection:
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def pending_changes(url: str) -> list[object]:
    """Differences between the declared tables and the migrated database: empty when they agree."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 — 0.2 s that only tests pay
    from alembic.migration import MigrationContext  # noqa: PLC0415 — likewise

    from gateway.db.metadata import all_tables  # noqa: PLC0415 — likewise

    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, all_tables()))
    finally:
        engine.dispose()
