"""Where the operational database is: a file of the home, or the PostgreSQL of a DSN file.

A file is brought to the newest schema by whoever opens it. A PostgreSQL, which replicas of an older
and a newer program share during an upgrade, is migrated by `sluice database upgrade` alone: a
program runs on its own schema and on later ones, never on an earlier one.
"""

from __future__ import annotations

from sqlalchemy import exc

from gateway.db.dsn import read_dsn
from gateway.db.engine import open_engine, sqlite_url
from gateway.db.postgres import postgres_url
from gateway.db.upgrade import newest, stands_at, upgrade
from gateway.errors import OperatorError
from gateway.settings import Settings

_DSN_CODE = "database_dsn"


def database_url(settings: Settings) -> str:
    """SQLAlchemy's URL; holds the password where there is one, so it is never printed."""
    if settings.database_dsn_file is None:
        return sqlite_url(settings.database)
    return postgres_url(read_dsn(settings.database_dsn_file, _DSN_CODE))


def database_there(settings: Settings) -> bool:
    """Whether there is a database: one in PostgreSQL always, a file once it was made."""
    return settings.database_dsn_file is not None or settings.database.is_file()


def ready_database(settings: Settings) -> str:
    """The URL of a database at a schema this program can run on; a file is migrated first."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = database_url(settings)
    if settings.database_dsn_file is None:
        upgrade(url)
        return url
    found = stands(settings)
    if (found or "") < newest():
        raise OperatorError(
            "database_behind",
            f"The operational database stands at revision {found or 'none'} and this program needs"
            f" {newest()}: run `sluice database upgrade` with a role that owns the tables.",
        )
    return url


def stands(settings: Settings) -> str | None:
    """The revision of the database's schema; None where it is empty or not made."""
    if not database_there(settings):
        return None
    engine = open_engine(database_url(settings))
    try:
        with engine.connect() as connection:
            return stands_at(connection)
    except exc.DBAPIError as error:
        raise OperatorError(
            "database_unreachable",
            "The operational database cannot be used by the DSN of SLUICE_DATABASE_DSN_FILE: check"
            " host, port, role and password, and that the server runs.",
        ) from error
    finally:
        engine.dispose()
