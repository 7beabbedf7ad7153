"""Builds a load of the person source, on either store; until it is whole the old one is read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import asyncpg

from gateway.db.whole import written_whole
from gateway.errors import OperatorError
from gateway.persons.keeping import PERSON
from gateway.persons.loading import Batch, Loaded, Warehouse, indexed, load_name
from gateway.persons.postgres import NAMED, SCHEMA

Show = Callable[[str], None]
_TYPES = {"str": "text", "date": "date", "datetime": "timestamp"}
_NEXT = f"{SCHEMA}_next"
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def build_file(path: Path, warehouse: Warehouse, now: datetime, show: Show) -> Loaded:
    """A new file in the place of the old one, as one step."""
    with written_whole(path) as draft, closing(sqlite3.connect(draft, isolation_level=None)) as db:
        return _fill(db, warehouse, now, show)


def _fill(db: sqlite3.Connection, warehouse: Warehouse, now: datetime, show: Show) -> Loaded:
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("BEGIN")
    rows, name = {}, load_name(now)
    for table, columns in warehouse.tables().items():
        show(table)
        db.execute(f"CREATE TABLE {table} ({', '.join(f'{c} TEXT' for c in columns)})")
        places = ", ".join("?" * len(columns))
        number = 0
        for batch in warehouse.batches(table):
            db.executemany(f"INSERT INTO {table} VALUES ({places})", _texts(batch))
            number += len(batch)
        for column in indexed(table, columns):
            db.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")
        rows[table] = number
    db.execute("CREATE TABLE load (id TEXT NOT NULL, loaded_at TEXT NOT NULL)")
    db.execute("INSERT INTO load VALUES (?, ?)", (name, now.isoformat()))
    db.execute("COMMIT")
    db.execute("PRAGMA optimize")
    return Loaded(name, rows)


def _texts(batch: Batch) -> Iterator[tuple[str | None, ...]]:
    """Days and moments as SQLAlchemy reads them from SQLite."""
    for row in batch:
        yield tuple(_text(value) for value in row)


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    return value.isoformat() if isinstance(value, date) else value  # type: ignore[return-value]  # text or None


async def build_schema(
    dsn: str, reader: str, warehouse: Warehouse, now: datetime, show: Show
) -> Loaded:
    """A new schema in the place of the old one, as one transaction; `reader` is the role that the
    gateway connects as. It must be there, and gets to read these tables and nothing else."""
    if not _ROLE.fullmatch(reader):
        raise OperatorError("person_role", "The reading role is a lower-case name without quotes.")
    try:
        db = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "sluice"})
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise OperatorError(
            "person_store", f"The person store cannot be reached ({type(error).__name__})."
        ) from None
    try:
        await db.execute(f"DROP SCHEMA IF EXISTS {_NEXT} CASCADE; CREATE SCHEMA {_NEXT}")
        rows = {
            table: await _table(db, table, reader, warehouse, show) for table in warehouse.tables()
        }
        name = load_name(now)
        await db.execute(f"CREATE TABLE {_NEXT}.load (id text NOT NULL, loaded_at timestamptz)")
        await db.execute(f"INSERT INTO {_NEXT}.load VALUES ($1, $2)", name, now)
        async with db.transaction():
            await db.execute(f"GRANT SELECT ON {_NEXT}.load TO {reader}")
            await db.execute(f"GRANT USAGE ON SCHEMA {_NEXT} TO {reader}")
            await db.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
            await db.execute(f"ALTER SCHEMA {_NEXT} RENAME TO {SCHEMA}")
        return Loaded(name, rows)
    except asyncpg.UndefinedObjectError:
        raise OperatorError(
            "person_role", f"There is no role {reader}: create it with LOGIN and nothing else."
        ) from None
    finally:
        await db.close()


async def _table(
    db: asyncpg.Connection,
    table: str,
    reader: str,
    warehouse: Warehouse,
    show: Show,
) -> int:
    show(table)
    columns, whole, number = warehouse.tables()[table], f"{_NEXT}.{table}", 0
    made = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in columns.items())
    await db.execute(f"CREATE TABLE {whole} ({made})")
    for batch in warehouse.batches(table):
        await db.copy_records_to_table(table, schema_name=_NEXT, records=batch)
        number += len(batch)
    for column in indexed(table, columns):
        await db.execute(f"CREATE INDEX ON {whole} ({column})")
    if PERSON in columns:
        mine = f"{PERSON} = current_setting('{NAMED}', true)"
        await db.execute(f"ALTER TABLE {whole} ENABLE ROW LEVEL SECURITY")
        await db.execute(
            f"CREATE POLICY one_person ON {whole} FOR SELECT TO {reader} USING ({mine})"
        )
    await db.execute(f"GRANT SELECT ON {whole} TO {reader}")
    await db.execute(f"ANALYZE {whole}")
    return number
