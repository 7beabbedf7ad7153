"""Bring the operational database to the schema this program needs (Alembic, one history)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.db.engine import for_writing, open_engine
from gateway.db.postgres import MIGRATION, lock

if TYPE_CHECKING:
    from alembic.config import Config

LOCK_SECONDS = 5
_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def newest() -> str:
    """The revision this program needs: the last of the numbered files."""
    return max(path.name for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))[:4]


def alembic_config(connection: sa.Connection) -> Config:
    """Alembic's configuration on an open connection; no ini file, no second place to keep a URL."""
    from alembic.config import Config  # noqa: PLC0415 — 0.4 s that only a migration pays

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str) -> None:
    """Create or migrate the database; does nothing when it is already at the newest revision."""
    engine = open_engine(url)
    try:
        with migrating(engine) as connection:
            if (stands_at(connection) or "") < newest():
                from alembic import command  # noqa: PLC0415 — likewise

                command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def downgrade(url: str, revision: str) -> None:
    """Bring the database back to an earlier revision; what later ones added is dropped."""
    engine = open_engine(url)
    try:
        with migrating(engine) as connection:
            from alembic import command  # noqa: PLC0415 — likewise

            command.downgrade(alembic_config(connection), revision)
    finally:
        engine.dispose()


@contextmanager
def migrating(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction for all steps. Two processes that start together migrate in turn; on
    PostgreSQL replicas go on meanwhile, and a step that waits long for a table gives up, so that
    what queues behind it does not stand still."""
    if engine.dialect.name == "sqlite":
        with for_writing(engine).begin() as connection:
            yield connection
        return
    with engine.begin() as connection:
        lock(connection, MIGRATION)
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        yield connection


def stands_at(connection: sa.Connection) -> str | None:
    """The revision of the database; None when it is empty."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
    return str(found[0]) if len(found) == 1 else None


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
