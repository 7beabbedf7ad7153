"""Real, other real and synthetic persons side by side: one DuckDB schema a side, one view a table.

Each table has, besides the columns its schema names, `_unit`: the person a row belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from synthetic.evaluation.learning import CATEGORIES, Matrix
from synthetic.evaluation.longitudinal import quoted
from synthetic.evaluation.marginals import Coded
from synthetic.tables.errors import SynthesisError
from synthetic.tables.schema import Category, Column, Schema, day_number

ROWS = 300_000
"""Most rows of a table whose marginals are counted; above, a sample by the seed."""
NEXT = "next"
"""What is asked of the row after this one; no column of a schema where `ahead` is asked."""
Files = Mapping[str, Sequence[Path]]
Raw = Mapping[str, NDArray[np.float64]]


def text(value: str) -> str:
    """A text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def add_side(
    connection: duckdb.DuckDBPyConnection, schema: Schema, side: str, files: Files
) -> None:
    """Read a side's tables. Each row of the root is a person; a root that nobody has a file of
    (the table of units) is made of the keys that its child names.

    Raises:
        SynthesisError: `synth_files`: a file is missing, or lacks a column.
    """
    connection.execute(f"CREATE SCHEMA {quoted(side)}")
    for name in schema.ordered:
        if name in files:
            _read(connection, schema, (side, name), _source(files[name]))
        elif name == schema.root and not schema.tables[name].columns:
            _units(connection, schema, side, _source(files[schema.children(name)[0]]))
        else:
            raise _files(f"{side}: no file for table {name}")


def _source(paths: Sequence[Path]) -> str:
    reader = "read_csv" if paths[0].suffix.lower() == ".csv" else "read_parquet"
    return f"{reader}([{', '.join(text(str(path)) for path in paths)}])"


def _units(connection: duckdb.DuckDBPyConnection, schema: Schema, side: str, source: str) -> None:
    key = quoted(schema.tables[schema.root].key or "")
    connection.execute(
        f"CREATE TABLE {quoted(side)}.{quoted(schema.root)} AS"
        f" SELECT DISTINCT {key}, {key} AS _unit FROM {source} WHERE {key} IS NOT NULL"
    )


def _read(
    connection: duckdb.DuckDBPyConnection, schema: Schema, at: tuple[str, str], source: str
) -> None:
    side, name = at
    table = schema.tables[name]
    keys = [key for key in (table.key, table.foreign_key) if key]
    columns = list(dict.fromkeys([*keys, *table.columns]))
    picked = ", ".join(f"t.{quoted(column)}" for column in columns)
    unit, joined = f"t.{quoted(table.key)}" if table.key else "row_number() OVER ()", ""
    if table.parent is not None:
        parent = f"{quoted(side)}.{quoted(table.parent)}"
        link = quoted(schema.tables[table.parent].key or "")
        unit, joined = (
            "p._unit",
            (f" LEFT JOIN {parent} p ON p.{link} = t.{quoted(table.foreign_key or '')}"),
        )
    place = f"{quoted(side)}.{quoted(name)}"
    try:
        connection.execute(
            f"CREATE TABLE {place} AS SELECT {picked}, {unit} AS _unit FROM {source} t{joined}"
        )
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise _files(f"{side}: the files of {name} are not as the schema says: {said}") from error


def _files(what: str) -> SynthesisError:
    return SynthesisError("synth_files", f"{what}.", "合成数据或真实数据的文件不符合表结构。")


def halves(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    side: str,
    into: tuple[str, str],
    seed: int,
) -> None:
    """Split a side's persons into two by a hash that the seed turns."""
    for half, name in enumerate(into):
        connection.execute(f"CREATE SCHEMA {quoted(name)}")
        for table in schema.ordered:
            connection.execute(
                f"CREATE TABLE {quoted(name)}.{quoted(table)} AS"
                f" SELECT * FROM {quoted(side)}.{quoted(table)}"
                f" WHERE hash(_unit::VARCHAR || '/{int(seed)}') % 2 = {half}"
            )


def write_side(
    connection: duckdb.DuckDBPyConnection, schema: Schema, side: str, folder: Path
) -> Files:
    """The tables of a side as Parquet files, without what this module added."""
    made = {}
    for name in schema.tables:
        path = folder / f"{name}.parquet"
        connection.execute(
            f"COPY (SELECT * EXCLUDE (_unit) FROM {quoted(side)}.{quoted(name)})"
            f" TO {text(str(path))} (FORMAT parquet)"
        )
        made[name] = [path]
    return made


def rows_of(connection: duckdb.DuckDBPyConnection, side: str, table: str) -> int:
    """How many rows a side has of a table."""
    found = connection.execute(f"SELECT count(*) FROM {quoted(side)}.{quoted(table)}").fetchone()
    return int(found[0]) if found else 0


def raw(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    side: str,
    name: str,
    seed: int = 0,
    *,
    ahead: bool = False,
) -> Raw:
    """A table's columns as numbers: codes of categories (0: none of them), numbers and days, and
    the days since the row before where the schema orders rows; nan where null. `ahead` adds
    `next`: the days to the next row of the same parent, nan where there is none."""
    table = schema.tables[name]
    picked = [f"{expression(schema, name, column)} AS {quoted(column)}" for column in table.columns]
    if ahead and table.order is not None:
        value = _number(table.columns[table.order.column], f"t.{quoted(table.order.column)}")
        window = f"PARTITION BY t.{quoted(table.foreign_key or '')} ORDER BY {value}"
        picked.append(f"lead({value}) OVER ({window}) - {value} AS {quoted(NEXT)}")
    sampled = f"USING SAMPLE reservoir({ROWS} ROWS) REPEATABLE ({int(seed)})"
    found = connection.execute(
        f"SELECT * FROM (SELECT {', '.join(picked)} FROM {quoted(side)}.{quoted(name)} t"
        f"{_ancestors(schema, side, name)}) {sampled}"
    ).fetchnumpy()
    return {
        column: np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
        for column, values in found.items()
    }


def _ancestors(schema: Schema, side: str, name: str) -> str:
    """Joins to the parents, whose columns may open an order's window."""
    joins, alias, table = "", "t", schema.tables[name]
    while table.order is not None and table.parent is not None:
        parent = schema.tables[table.parent]
        joins += (
            f" LEFT JOIN {quoted(side)}.{quoted(table.parent)} {quoted(table.parent)}"
            f" ON {quoted(table.parent)}.{quoted(parent.key or '')} ="
            f" {alias}.{quoted(table.foreign_key or '')}"
        )
        alias, table = quoted(table.parent), parent
        if table.parent is None:
            break
    return joins


def expression(schema: Schema, name: str, column: str) -> str:
    """A column of the table `t` as a number, in SQL: see `raw`."""
    table = schema.tables[name]
    what = table.columns[column]
    if isinstance(what, Category):
        values = ", ".join(text(_label(value)) for value in what.values)
        plain = f"t.{quoted(column)}"
        whole = all(isinstance(v, int) and not isinstance(v, bool) for v in what.values)
        spelt = f"TRY_CAST({plain} AS BIGINT)::VARCHAR" if whole else f"{plain}::VARCHAR"
        return f"coalesce(enum_code(TRY_CAST({spelt} AS ENUM({values})))::DOUBLE + 1, 0)"
    value = _number(what, f"t.{quoted(column)}")
    if what.since is not None:
        return f"{value} - {_number(what, f't.{quoted(what.since)}')}"
    if table.order is not None and table.order.column == column:
        before = (
            f"lag({value}) OVER (PARTITION BY t.{quoted(table.foreign_key or '')} ORDER BY {value})"
        )
        return f"{value} - coalesce({before}, {_start(schema, name, what)})"
    return value


def _start(schema: Schema, name: str, what: Column) -> str:
    order = schema.tables[name].order
    start = order.start if order else 0.0
    if not isinstance(start, str):
        return repr(day_number(start))
    at = schema.tables[name].parent
    while at is not None:
        if start in schema.tables[at].columns:
            return _number(what, f"{quoted(at)}.{quoted(start)}")
        at = schema.tables[at].parent
    raise _files(f"{name}: its order starts at {start}, which no parent has")


def _number(what: Column, place: str) -> str:
    if what.kind == "date":
        return f"date_diff('day', DATE '1970-01-01', {place}::DATE)::DOUBLE"
    return f"{place}::DOUBLE"


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def coded(schema: Schema, name: str, table: Raw) -> Coded:
    """The table in the schema's public bins; 0 where null, outside values in the nearest bin."""
    columns, sizes = {}, {}
    for column, values in table.items():
        what = schema.tables[name].columns[column]
        if isinstance(what, Category):
            columns[column], sizes[column] = values.astype(np.int64), len(what.values) + 1
            continue
        edges = np.array([day_number(edge) for edge in what.bins])
        place = np.clip(np.searchsorted(edges, values, "right"), 1, len(edges) - 1)
        columns[column] = np.where(np.isnan(values), 0, place).astype(np.int64)
        sizes[column] = len(edges)
    return Coded(columns, sizes)


def matrix(schema: Schema, name: str, table: Raw) -> Matrix:
    """The table as a learner takes it: values as they are, listed ones as categories."""
    kinds = [schema.tables[name].columns.get(column) for column in table]
    return Matrix(
        np.column_stack(list(table.values())),
        tuple(table),
        tuple(isinstance(k, Category) and len(k.values) + 1 <= CATEGORIES for k in kinds),
    )


def exact(tables: Sequence[Raw]) -> list[Coded]:
    """Several sides of one table as codes that are equal where, and only where, values are."""
    made: list[dict[str, NDArray[np.int64]]] = [{} for _ in tables]
    sizes = {}
    for column in tables[0]:
        joined = np.concatenate([np.nan_to_num(table[column], nan=-1e300) for table in tables])
        known, codes = np.unique(joined, return_inverse=True)
        sizes[column] = len(known)
        ends = np.cumsum([len(table[column]) for table in tables])[:-1]
        for each, part in zip(made, np.split(codes.astype(np.int64), ends), strict=True):
            each[column] = part
    return [Coded(each, sizes) for each in made]
