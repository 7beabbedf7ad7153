"""The rows a view is made of: those the policy lets a job read, and no column or table besides.

The conditions are those of a decision (`gateway.policy.filters`): region, months, record valid, no
sensitive diagnosis, nobody who opted out. They are carried out first, into tables of their own;
then the warehouse is let go, so the view's SQL cannot reach past them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import duckdb
import pyarrow as pa

from gateway.policy.filters import Reading, duckdb_query, select
from gateway.policy.port import ColumnRule, Obligations
from gateway.policy.readable import of_warehouse
from gateway.rowviews.definition import RowView
from synthetic.warehouse.schema import TABLES

MEMORY: Final = "1536MiB"
_ALLOWED: Final = "allowed"
_MACROS: Final = "views_00_dims.sql"
_Reference: TypeAlias = Callable[[str], str]


@contextmanager
def allowed_rows(
    version: Path, policies: Path, view: RowView, told: Obligations | None, opted_out: Sequence[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that holds the allowed rows of the view's tables and the catalogue's macros.

    `told` is the decision's word; None for a made-up warehouse, whose valid rows are all allowed.
    """
    with TemporaryDirectory(prefix=".rows-") as spill, duckdb.connect(":memory:") as db:
        db.execute("SET temp_directory = $d", {"d": spill})
        db.execute("SET memory_limit = $m", {"m": MEMORY})
        db.execute("SET python_enable_replacements = false")  # no variable of ours is a table
        db.execute(f"CREATE SCHEMA {_ALLOWED}")
        register = pa.table({"psn_no": pa.array(sorted(opted_out), pa.string())})
        db.register("opt_out_register", register)
        tables = _tables(version, view.tables, told)
        for name in tables:
            _open(db, version, name)
        for name in view.tables:
            _fill(db, name, told)
        for name in tables:
            db.execute(f'DROP VIEW "{name}"')
        db.unregister("opt_out_register")
        db.execute("SET enable_external_access = false")
        db.execute(f"SET schema = '{_ALLOWED}'")
        db.execute((policies / "catalogue" / _MACROS).read_text("utf-8"))
        yield db


def opted_out_numbers(version: Path, references: Iterable[str], reference: _Reference) -> list[str]:
    """`psn_no` of everybody whose reference is in the register; `reference` makes one."""
    wanted = set(references)
    if not wanted:
        return []
    persons = duckdb.read_parquet(str(version / "psn_info_b.parquet"))
    rows = persons.project("psn_no, certno").fetchall()
    return [number for number, certno in rows if certno and reference(certno) in wanted]


def _tables(version: Path, own: Iterable[str], told: Obligations | None) -> list[str]:
    """The view's tables, and those that its conditions look into."""
    named = {rule.column.partition(".")[0] for rule in told.rows} if told else set()
    there = {path.stem for path in version.glob("*.parquet")}
    return sorted((set(own) | named) & there)


def _open(db: duckdb.DuckDBPyConnection, version: Path, name: str) -> None:
    path = str(version / f"{name}.parquet").replace("'", "''")
    some = "WHERE vali_flag = '1'"
    db.execute(f"CREATE VIEW \"{name}\" AS SELECT * FROM read_parquet('{path}') {some}")


def _fill(db: duckdb.DuckDBPyConnection, name: str, told: Obligations | None) -> None:
    target = f'CREATE TABLE {_ALLOWED}."{name}" AS'
    if told is None:
        db.execute(f'{target} SELECT * FROM main."{name}"')
        return
    columns = {column.name: column.name for column in TABLES[name].columns}
    all_of_it = tuple(ColumnRule(column, "C06-01", "L4", "token") for column in columns)
    statement = select(of_warehouse(), replace(told, columns=all_of_it), Reading(name, columns), {})
    query = duckdb_query(statement)
    db.execute(f"{target} {query.sql}", query.parameters)
