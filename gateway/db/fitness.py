"""Whether a PostgreSQL is fit to be the operational database: what it must be set to, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

OLDEST = 150000


class Fault(NamedTuple):
    """A stable code and a sentence to act on."""

    code: str
    sentence: str


_ASKED = sa.text("""
SELECT current_setting('server_version_num')::int AS version,
  current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS whole_pages,
  pg_encoding_to_char(d.encoding) AS encoding,
  d.datcollate AS collation,
  r.rolsuper OR r.rolcreaterole OR r.rolcreatedb AS much,
  EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema()
    AND tableowner = current_user) AS owner
FROM pg_database d, pg_roles r
WHERE d.datname = current_database() AND r.rolname = current_user
""")


def faults(engine: sa.Engine) -> list[Fault]:
    """What is wrong with the server, the database and the role that asks; nothing where it fits."""
    with engine.connect() as connection:
        found = connection.execute(_ASKED).one()
    return [*_server(found), *_database(found), *_role(found)]


def _server(found: sa.Row[tuple[object, ...]]) -> Iterator[Fault]:
    if found.version < OLDEST:
        yield Fault("database_old", "The operational database needs PostgreSQL 15 or newer.")
    if found.fsync != "on" or found.whole_pages != "on":
        yield Fault(
            "database_not_durable",
            "The operational database runs with fsync or full_page_writes off: switch both on.",
        )


def _database(found: sa.Row[tuple[object, ...]]) -> Iterator[Fault]:
    if found.encoding != "UTF8":
        yield Fault("database_encoding", "Make the operational database with ENCODING 'UTF8'.")
    if found.collation.split(".")[0] not in {"C", "POSIX"}:
        # The ledger asks for ranges of texts, and lists are ordered as SQLite and Python do.
        yield Fault(
            "database_collation",
            "Make the operational database with LC_COLLATE 'C' (or C.UTF-8): texts are compared "
            "byte by byte.",
        )


def _role(found: sa.Row[tuple[object, ...]]) -> Iterator[Fault]:
    if found.much or found.owner:
        yield Fault(
            "database_role",
            "The gateway's role owns tables or may make roles or databases: let it in by `sluice "
            "database upgrade --owner-dsn-file … --role …` and name that role in the DSN.",
        )
