"""The operational database on PostgreSQL: its connections, their limits, and one writer at a time.

SQLite lets one transaction write at a time, and the rules above it count on that: a chain's next
number and a consent's uses are read and written in one step. Here a lock of the transaction says
the same, for all replicas. Readers never wait for it: they see one snapshot.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import event

WRITE = "sluice_write"
SCHEME = "postgresql+psycopg"

# Keys of the advisory locks: "sluice" and a number, as one 64-bit integer.
WRITERS, MIGRATION = 0x736C756963650001, 0x736C756963650002

POOL, OVERFLOW = 8, 8
_PATIENCE = 10  # seconds for a free connection; a lock is waited for as long
_RECYCLE = 1800
_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": f"{_PATIENCE}s",
    # A replica that hangs in a transaction must not keep the others from writing.
    "idle_in_transaction_session_timeout": "60s",
    "synchronous_commit": "on",  # what was answered is on disk, whatever the server is set to
    "timezone": "UTC",
}
_NETWORK = {
    "connect_timeout": 5,
    # A server that vanished without a word is noticed in about 20 s.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


def postgres_url(dsn: str) -> str:
    """SQLAlchemy's URL of a DSN (postgresql:// or postgres://)."""
    return f"{SCHEME}://{dsn.partition('://')[2]}"


def open_postgres(url: str, name: str = "sluice") -> sa.Engine:
    """Engine with bounded waits; what is told apart in the server's list of sessions by `name`."""
    options = " ".join(f"-c {key}={value}" for key, value in _LIMITS.items())
    engine = sa.create_engine(
        url,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_timeout=_PATIENCE,
        pool_recycle=_RECYCLE,
        pool_pre_ping=True,
        connect_args={**_NETWORK, "options": options, "application_name": name},
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get(WRITE, False):
        lock(connection, WRITERS)


def lock(connection: sa.Connection, key: int) -> None:
    """Wait for a lock that ends with the transaction."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({key})")


def snapshot(engine: sa.Engine) -> sa.Engine:
    """The engine with transactions that see one state and cannot write."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
