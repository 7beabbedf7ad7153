"""Who may do what in PostgreSQL: the role of serving processes, which owns nothing.

It reads and writes rows. Rows that last it may only add, and the schema it cannot change; so a
process that was taken over neither rewrites a chain nor takes its guard away.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from sqlalchemy import exc

from gateway.db.engine import open_engine
from gateway.db.upgrade import migrating
from gateway.errors import OperatorError

LASTING = (
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
    "office_event",
)
"""Tables whose rows are added only; migrations put a trigger on each as well."""

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_MUCH = sa.text(
    "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = :role"
)
_PASSWORD = sa.text(
    "SELECT format('ALTER ROLE %I PASSWORD %L', CAST(:role AS text), CAST(:word AS text))"
)


def let_in(url: str, role: str, password: str | None = None) -> None:
    """Make the role where it is new, and give it exactly its rights. `url` is of the tables' owner,
    who may make roles."""
    if not _ROLE.fullmatch(role):
        raise OperatorError("database_role", "A role's name is of a to z, 0 to 9 and _.")
    engine = open_engine(url)
    try:
        with migrating(engine) as connection:
            _role(connection, role, password)
            _rights(connection, role)
    except exc.DBAPIError as error:
        raise OperatorError(
            "database_role",
            f"PostgreSQL refused to set up the role {role} ({type(error.orig).__name__}): use the "
            "DSN of the tables' owner, who may make roles. Nothing was changed.",
        ) from error
    finally:
        engine.dispose()


def _role(connection: sa.Connection, role: str, password: str | None) -> None:
    if connection.scalar(sa.text("SELECT current_user")) == role:
        raise OperatorError("database_role", "The gateway's role must not own the tables.")
    much = connection.scalar(_MUCH, {"role": role})
    if much:
        raise OperatorError("database_role", f"The role {role} may do too much; name a plain one.")
    if much is None:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN NOINHERIT")
    if password is not None:
        told = connection.scalar(_PASSWORD, {"role": role, "word": password})
        connection.exec_driver_sql(str(told).replace("%", "%%"))


def _rights(connection: sa.Connection, role: str) -> None:
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    for table in sa.inspect(connection).get_table_names():
        acts = _acts(table)
        connection.exec_driver_sql(f'GRANT {acts} ON "{table}" TO {role}')


def _acts(table: str) -> str:
    if table == "alembic_version":
        return "SELECT"
    return "SELECT, INSERT" if table in LASTING else "SELECT, INSERT, UPDATE, DELETE"
