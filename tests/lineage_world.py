"""A small warehouse of which any column can be replaced: does lineage tell the truth?"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.warehouse import store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Column = tuple[str, str]
Tables = Mapping[str, pa.Table]


def tables_of(version: Path) -> dict[str, pa.Table]:
    """Every table of a warehouse's version."""
    return {path.stem: pq.read_table(path) for path in sorted(version.glob("*.parquet"))}


def columns_of(tables: Tables) -> set[Column]:
    return {(name, column) for name, table in tables.items() for column in table.column_names}


def spoilt(tables: Tables, seed: int) -> dict[str, pa.Table]:
    """The tables with other values in every column: those of other rows, some twice; values that
    never were; nulls where a column may have them."""
    rng = np.random.default_rng(seed)
    return {
        name: pa.table(
            [
                pa.array(_others(field, table[field.name].to_pylist(), rng), type=field.type)
                for field in table.schema
            ],
            schema=table.schema,
        )
        for name, table in sorted(tables.items())
    }


def mixed(tables: Tables, others: Tables, columns: Collection[Column]) -> dict[str, pa.Table]:
    """The tables with these columns, and no more, as in the others."""
    found = dict(tables)
    for name, column in sorted(columns):
        place = found[name].column_names.index(column)
        field = found[name].schema.field(column)
        found[name] = found[name].set_column(place, field, others[name][column])
    return found


def _others(field: pa.Field, values: list[Any], rng: np.random.Generator) -> list[Any]:
    drawn = [values[i] for i in rng.integers(0, len(values), len(values))]
    kinds = rng.integers(0, 3 if field.nullable else 2, len(values))
    numbers = rng.integers(0, 900, len(values))
    return [
        None if kind == 2 else (_new(field.type, int(n)) if kind == 1 else old)
        for kind, n, old in zip(kinds, numbers, drawn, strict=True)
    ]


def _new(kind: pa.DataType, number: int) -> Any:  # of the column's own type
    if pa.types.is_decimal(kind):
        return Decimal(number % 9).quantize(Decimal(1).scaleb(-kind.scale))
    if pa.types.is_timestamp(kind):
        return datetime(2023, 6, 1) + timedelta(days=number)  # noqa: DTZ001  (the warehouse holds local time)
    if pa.types.is_date(kind):
        return date(2023, 6, 1) + timedelta(days=number)
    return number if pa.types.is_integer(kind) else f"x{number}"


def published(home: Path, tables: Tables) -> Path:
    """The tables as the current version of a home's warehouse."""
    root = home / "warehouse"
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "versions" / "draft"
    folder.mkdir(parents=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return store.publish(root, folder, {"kind": "test"}, NOW)
