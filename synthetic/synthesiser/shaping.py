"""Drawn rows as Arrow tables: keys, values of their declared kinds, derived columns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import log10

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.synthesiser.levels import UNIT
from synthetic.synthesiser.rows import Rows
from synthetic.tables.schema import Category, Day, Derived, Number

DIGITS = 18


def shaped(tables: Mapping[str, Rows]) -> dict[str, pa.Table]:
    """Each declared table: key, foreign key, then its columns as declared."""
    return {name: _table(rows) for name, rows in tables.items() if name != UNIT}


def _table(rows: Rows) -> pa.Table:
    table = rows.level.table
    columns: dict[str, pa.Array] = {}
    if table.key is not None:
        columns[table.key] = pa.array(rows.ids)
    if table.foreign_key is not None and rows.above is not None:
        columns[table.foreign_key] = pa.array(rows.above.ids[rows.parent])
    worked_out = {i.column: i.sql for i in table.identities if isinstance(i, Derived)}
    for name, column in table.columns.items():
        if name not in worked_out:
            columns[name] = _column(rows, name, column)
    return _derived(pa.table(columns), worked_out, [*_keys(rows), *table.columns])


def _keys(rows: Rows) -> list[str]:
    return [n for n in (rows.level.table.key, rows.level.table.foreign_key) if n is not None]


def _column(rows: Rows, name: str, column: Category | Number | Day) -> pa.Array:
    missing = rows.missing(name)
    if isinstance(column, Category):
        places = pa.array(rows.codes[name].astype(np.int32), mask=missing)
        return _labels(column).take(places)
    values = rows.values[name]
    if isinstance(column, Day):
        return pa.array(values.astype(np.int32), mask=missing).cast(pa.date32())
    return _numbers(pa.array(values, mask=missing), column.step)


def _labels(column: Category) -> pa.Array:
    kinds = {type(value) for value in column.values}
    mixed = len(kinds) > 1
    return pa.array([str(value) for value in column.values] if mixed else list(column.values))


def _numbers(steps: pa.Array, step: float) -> pa.Array:
    """Whole numbers for whole steps, decimals for tenths, hundredths …, so that sums are exact."""
    if step == round(step):
        return pc.multiply(steps, pa.scalar(int(step), pa.int64()))
    places = round(-log10(step))
    if 0 < places <= 9 and abs(step * 10**places - 1) < 1e-9:
        wide = steps.cast(pa.decimal128(DIGITS + 1, 0))
        unit = pa.scalar(Decimal(1).scaleb(-places), pa.decimal128(places + 1, places))
        return pc.multiply(wide, unit).cast(pa.decimal128(DIGITS, places))
    return pc.multiply(steps.cast(pa.float64()), step)


def _derived(table: pa.Table, worked_out: Mapping[str, str], order: list[str]) -> pa.Table:
    if not worked_out:
        return table.select(order)
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "enable_external_access": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.register("drawn", table)
        more = ", ".join(f'({sql}) AS "{name}"' for name, sql in worked_out.items())
        found: pa.Table = connection.sql(f"SELECT *, {more} FROM drawn").to_arrow_table()
    return found.select(order)
