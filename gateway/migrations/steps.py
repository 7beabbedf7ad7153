"""What steps of the schema share: guards of what lasts, and ways back that lose nothing.

A step back drops what its step made, where nothing is in it: no downgrade forgets a budget that was
spent, an objection or a decision. With rows in them the way back is a restored backup.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.errors import OperatorError

_ACTS = ("UPDATE", "DELETE")
_REFUSES = "sluice_append_only"
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {_REFUSES}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the % is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""


def guard(table: str) -> None:
    """From now on rows of the table are added only, whoever asks, short of who owns it."""
    if op.get_bind().dialect.name == "sqlite":
        for act in _ACTS:
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the {table} is append-only'); END"
            )
        return
    op.execute(_FUNCTION)
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE {' OR '.join(_ACTS)} OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {_REFUSES}()"
    )


def unguard(table: str) -> None:
    """The way back of `guard`."""
    if op.get_bind().dialect.name == "sqlite":
        for act in _ACTS:
            op.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act.lower()}")
        return
    op.execute(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}")


def drop_empty(*tables: str) -> None:
    """Drop tables, unless one holds a row."""
    for name in tables:
        _nothing_in(name, sa.true())
        op.drop_table(name)


def drop_unused(table: str, *columns: str) -> None:
    """Drop columns, unless a row says something in one."""
    for name in columns:
        _nothing_in(table, sa.column(name).is_not(None))
        op.drop_column(table, name)


def refuse_where(table: str, column: str, value: str) -> None:
    """No way back while a row's column holds another value than that of before."""
    _nothing_in(table, sa.column(column) != value)


def _nothing_in(table: str, where: sa.ColumnElement[bool]) -> None:
    found = sa.select(sa.literal(1)).select_from(sa.table(table)).where(where).limit(1)
    if op.get_bind().execute(found).first() is not None:
        raise OperatorError(
            "downgrade_loses",
            f"Going back would lose rows of {table}: restore a backup instead, or stay.",
        )
