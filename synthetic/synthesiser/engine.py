"""The tables in DuckDB: read, bounded, coded. Only sums over small tables of codes leave it.

A level's coded table holds `unit`, `id`, `parent`, `key`, `unit_n` (rows of the unit), for each
variable its code `c:…`, and for numbers and dates the value in steps: `v:…` as modelled, `g:…`
as it is. What a unit contributes depends on that unit's rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from synthetic.synthesiser.domains import (
    Domain,
    clamp_sql,
    code_sql,
    edges_of,
    in_steps,
    steps_sql,
)
from synthetic.synthesiser.levels import UNIT, USE, Level, bound
from synthetic.tables.errors import SynthesisError
from synthetic.tables.schema import Category

Ints = NDArray[np.int64]
ONE = 1 << 16
"""The weight of one row, or of one unit's rows together: counts are whole numbers of this part."""


BATCH = 1 << 16
"""Rows that are counted at once."""


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Cells:
    """An axis to count over: SQL for its codes, or for values that lie between `edges`."""

    sql: str
    size: int
    edges: Ints | None = None

    def codes(self, found: Ints) -> Ints:
        """The codes of a batch."""
        if self.edges is None:
            return found
        return np.searchsorted(self.edges, found, side="right") - 1


class Engine:
    """Counts over coded tables, on a DuckDB connection of its own."""

    def __init__(self, threads: int = 2) -> None:
        self._connection = duckdb.connect(config={"threads": threads})
        self._weights: dict[str, str] = {}

    def close(self) -> None:
        """Let the connection go, and all that was read."""
        self._connection.close()

    def read(self, level: Level, files: Sequence[Path], key: str | None = None) -> None:
        """Make a table's files known; every declared column must be there.

        Raises:
            SynthesisError: `synth_data`.
        """
        source = f"read_parquet({_list(files)})"
        if any(file.suffix == ".csv" for file in files):
            source = f"read_csv({_list(files)}, header = true)"
        raw = quoted(f"raw {level.name}")
        try:
            self._connection.execute(f"CREATE VIEW {raw} AS SELECT * FROM {source}")
            found = self._connection.execute(f"DESCRIBE {raw}").fetchall()
        except duckdb.Error as error:
            raise refused(f"the files of {level.name} cannot be read as CSV or Parquet") from error
        needed = [level.table.key, level.table.foreign_key, key, *level.table.modelled]
        for name in needed:
            if name is not None and name not in {row[0] for row in found}:
                raise refused(f"the files of {level.name} have no column {name}")

    def units(self, level: Level, under: str) -> None:
        """The table of units, from the keys of the rows that name them."""
        key = quoted(level.table.key or "")
        self._connection.execute(
            f"CREATE VIEW {quoted(f'raw {UNIT}')} AS SELECT DISTINCT {key} "
            f"FROM {quoted(f'raw {under}')} WHERE {key} IS NOT NULL"
        )

    def code(self, level: Level) -> None:
        """Bound and code a level; its parents come first.

        Raises:
            SynthesisError: `synth_data`, where a value has no place in its domain.
        """
        try:
            for name, column in level.table.columns.items():
                if isinstance(column, Category):
                    self._enumerate(level.name, name, column)
            for statement in coding(level):
                self._connection.execute(statement)
        except duckdb.Error as error:
            raise refused(f"the files of {level.name} cannot be coded") from error
        self._check(level)

    def _enumerate(self, table: str, name: str, column: Category) -> None:
        labels = ", ".join(_text(_label(value)) for value in column.values)
        self._connection.execute(f"CREATE TYPE {_enum(table, name)} AS ENUM ({labels})")

    def _check(self, level: Level) -> None:
        coded = quoted(f"coded {level.name}")
        for name in level.own:
            missing = self._one(f"SELECT count(*) FROM {coded} WHERE {quoted('c:' + name)} IS NULL")
            if missing:
                raise refused(
                    f"{level.name}.{name} has values that are missing or not listed; declare "
                    "`nullable` or `other`"
                )
        if level.table.key is not None:
            twice = self._one(f"SELECT count(key) - count(DISTINCT key) FROM {coded}")
            empty = self._one(f"SELECT count(*) FROM {coded} WHERE key IS NULL")
            if twice or empty:
                raise refused(f"{level.name}.{level.table.key} is empty or not unique")

    def _one(self, query: str) -> int:
        return int(self._connection.execute(query).fetchall()[0][0])

    def weigh(self, level: Level, shares: bool) -> None:
        """Each row of a unit counts its part of one, or one."""
        self._weights[level.name] = f"({ONE} // unit_n)" if shares else str(ONE)

    def counts(self, level: Level, tables: Sequence[tuple[str, ...]]) -> list[Ints]:
        """Weighted counts over the codes of some variables each, an axis a variable. Not noised."""
        names = sorted({name for table in tables for name in table})
        cells = {name: Cells(quoted("c:" + name), level.domain(name).size) for name in names}
        return self._tallied(level, cells, tables)

    def fine(self, level: Level, names: Sequence[str], cycle: int) -> dict[str, tuple[Ints, Ints]]:
        """Weighted counts of numbers and dates over their fine cells, and over what remains of them
        after division by `cycle`. Not noised."""
        cells: dict[str, Cells] = {}
        for name in names:
            edges = level.own[name].fine_edges
            # Missing values go into one cell more, which is left behind.
            value = f"coalesce({quoted('v:' + name)}, {edges[-1]})"
            cells[f"f {name}"] = Cells(value, edges.size, edges=edges)
            rest = f"CASE WHEN {quoted('v:' + name)} IS NULL THEN {cycle} ELSE "
            rest += f"(({quoted('v:' + name)} % {cycle}) + {cycle}) % {cycle} END"
            cells[f"r {name}"] = Cells(rest, cycle + 1)
        found = self._tallied(level, cells, [(cell,) for cell in cells])
        return {name: (found[2 * at][:-1], found[2 * at + 1][:-1]) for at, name in enumerate(names)}

    def _tallied(
        self,
        level: Level,
        cells: Mapping[str, Cells],
        tables: Sequence[tuple[str, ...]],
    ) -> list[Ints]:
        """One scan, batch by batch: whole numbers below 2⁵³, so exact in any order."""
        chosen = [f"({one.sql})::BIGINT AS {quoted(name)}" for name, one in cells.items()]
        weight = self._weights[level.name]
        query = (
            f"SELECT {', '.join([*chosen, f'({weight})::DOUBLE AS weight'])} "
            f"FROM {quoted(f'coded {level.name}')}"
        )
        shapes = [tuple(cells[name].size for name in table) for table in tables]
        sums = [np.zeros(prod(shape), np.float64) for shape in shapes]
        for batch in self._connection.sql(query).to_arrow_reader(BATCH):
            codes = {name: one.codes(batch.column(name).to_numpy()) for name, one in cells.items()}
            weights = batch.column("weight").to_numpy()
            for table, shape, total in zip(tables, shapes, sums, strict=True):
                cell = np.zeros(len(weights), np.int64)
                for name, size in zip(table, shape, strict=True):
                    cell *= size
                    cell += codes[name]
                np.add(total, np.bincount(cell, weights, total.size), out=total)
        return [
            total.astype(np.int64).reshape(shape) for total, shape in zip(sums, shapes, strict=True)
        ]


def coding(level: Level) -> list[str]:
    """The statements that make `coded <table>` of `raw <table>` and the coded tables above it."""
    within = "PARTITION BY parent"
    ranked = f"{within} ORDER BY {', '.join([*_sorting(level), 'id'])}"
    stages = [
        ("placed", f"SELECT {', '.join(_read(level))} FROM {_source(level)}"),
        ("measured", f"SELECT *, {', '.join([*_values(level), '1 AS one'])} FROM placed"),
        (
            "kept",
            f"SELECT *, row_number() OVER ({ranked}) AS pos FROM measured "
            f"QUALIFY pos <= {level.table.at_most if level.ancestors else 1}",
        ),
        ("gapped", f"SELECT *, {', '.join(_gaps(level))} FROM kept"),
        ("coded", f"SELECT *, {', '.join(_codes(level))} FROM gapped"),
        ("sequenced", f"SELECT *, {', '.join(_before(level))} FROM coded"),
    ]
    chain = ", ".join(f"{name} AS ({query})" for name, query in stages)
    kept = ", ".join(quoted(name) for name in _kept(level))
    return [
        f"CREATE TABLE {quoted(f'coded {level.name}')} AS WITH {chain} SELECT {kept} FROM sequenced"
    ]


def _source(level: Level) -> str:
    source = f"{quoted(f'raw {level.name}')} AS r"
    for child in level.children:
        number = quoted(f"n {child.name}")
        source += (
            f" LEFT JOIN (SELECT {quoted(child.foreign_key)} AS k, count(*) AS n "
            f"FROM {quoted(f'raw {child.name}')} GROUP BY 1) AS {number} "
            f"ON {number}.k = r.{quoted(level.table.key or '')}"
        )
    if level.ancestors:
        above = quoted(f"coded {level.ancestors[0].name}")
        source += f" JOIN {above} AS p ON p.key = r.{quoted(level.table.foreign_key or '')}"
    return source


def _read(level: Level) -> list[str]:
    table = level.table
    key = f"r.{quoted(table.key)}" if table.key else "NULL"
    row = "row_number() OVER ()"
    found = [f"{row} AS id", f"{key} AS key"]
    if level.ancestors:
        found += ["p.unit AS unit", "p.id AS parent"]
        found += [
            f"p.{quoted('c:' + _inherited(level, n))} AS {quoted('c:' + n)}"
            for n in level.given
            if "." in n and not n.startswith("prev.")
        ]
        for edge in ("start", "end"):
            if table.order is not None:
                found.append(f"{_edge(level, edge)} AS {quoted('w:' + edge)}")
    else:
        found += [f"{row} AS unit", f"{row} AS parent"]
    found += [f"p.{quoted(g)} AS {quoted(g)}" for g in _above(level)]
    for child in level.children:
        number = f"least(coalesce({quoted('n ' + child.name)}.n, 0), {child.at_most})"
        found.append(f"{number} AS {quoted('v:#' + child.name)}")
    for name in table.modelled:
        column, raw = table.columns[name], f"r.{quoted(name)}"
        if isinstance(column, Category):
            code = f"enum_code(TRY_CAST({raw}::VARCHAR AS {_enum(level.name, name)}))"
            if column.other is not None:
                place = [str(v) for v in column.values].index(str(column.other))
                code = f"CASE WHEN {raw} IS NOT NULL THEN coalesce({code}, {place}) END"
            found.append(f"{code} AS {quoted('k:' + name)}")
        else:
            found.append(f"{steps_sql(column, raw)} AS {quoted('g:' + name)}")
    return found


def _inherited(level: Level, name: str) -> str:
    table, _, variable = name.partition(".")
    return variable if table == level.ancestors[0].name else name


def _above(level: Level) -> list[str]:
    """Values of the tables above that windows below may name: theirs, and what they had."""
    return [
        f"g:{above.name}.{name}"
        for above in level.ancestors
        for name, domain in above.own.items()
        if domain.measured and not name.startswith("#")
    ]


def _edge(level: Level, edge: str) -> str:
    order = level.table.order
    assert order is not None  # noqa: S101 -- asked only of ordered tables
    column = level.table.columns[order.column]
    named = bound(level, edge)
    if named is not None:
        return f"p.{quoted(f'g:{named[0]}.{named[1]}')}"
    assert not isinstance(column, Category)  # noqa: S101 -- the schema allows none
    return str(in_steps(getattr(order, edge), column))


def _values(level: Level) -> list[str]:
    """Modelled values of all but the ordering column."""
    found = []
    for name in level.table.modelled:
        column = level.table.columns[name]
        if isinstance(column, Category) or name == level.ordering:
            continue
        value = quoted("g:" + name)
        if column.since is not None:
            value = f"({value} - {quoted('g:' + column.since)})"
        found.append(f"{clamp_sql(value, edges_of(column))} AS {quoted('v:' + name)}")
    return found


def _sorting(level: Level) -> list[str]:
    """What puts the rows of one parent in sequence: the declared order, then their values."""
    columns = level.table.columns
    names = [n for n in level.table.modelled if n != level.ordering]
    keys = [quoted(("k:" if isinstance(columns[n], Category) else "v:") + n) for n in names]
    return ([quoted("g:" + level.ordering)] if level.ordering else []) + keys


def _gaps(level: Level) -> list[str]:
    found = [
        "count(*) OVER (PARTITION BY unit) AS unit_n",
        "count(*) OVER (PARTITION BY parent) - pos AS remaining",
    ]
    if level.ordering:
        column = level.table.columns[level.ordering]
        assert not isinstance(column, Category)  # noqa: S101 -- the schema allows none
        now = quoted("g:" + level.ordering)
        found.append(
            f"coalesce(lag({now}) OVER (PARTITION BY parent ORDER BY pos), {quoted('w:start')}) "
            "AS last"
        )
        gap = clamp_sql(f"({now} - last)", edges_of(column))
        found.append(f"{gap} AS {quoted('v:' + level.ordering)}")
    return found


def _codes(level: Level) -> list[str]:
    found = []
    for name, domain in level.own.items():
        if domain.measured:
            code = code_sql(quoted("v:" + name), domain.edges)
        else:
            code = quoted("k:" + name)
        if domain.nullable:
            code = f"coalesce({code}, {domain.known})"
        found.append(f"{_small(code, domain)} AS {quoted('c:' + name)}")
        if domain.measured and not name.startswith("#"):
            found.append(f"{quoted('g:' + name)} AS {quoted(f'g:{level.name}.{name}')}")
    return found or ["1 AS nothing"]


def _before(level: Level) -> list[str]:
    use = []
    if USE in level.given:
        classes = level.given[USE]
        use = [f"{_small(code_sql('unit_n', classes.edges), classes)} AS {quoted('c:' + USE)}"]
    if not level.sequential:
        return [*use, "1 AS first"]
    left = level.given["left"]
    most = left.edges[-1] - 1
    found = [f'{_small(code_sql(f"least(remaining, {most})", left.edges), left)} AS "c:left"']
    if "pace" in level.given:
        pace = level.given["pace"]
        days = clamp_sql(f"(greatest(0, {quoted('w:end')} - last) // (remaining + 1))", pace.edges)
        found.append(f'{_small(code_sql(days, pace.edges), pace)} AS "c:pace"')
    for name in level.table.modelled:
        known = level.own[name].known
        last = f"lag(nullif({quoted('c:' + name)}, {known}) IGNORE NULLS)"
        over = "OVER (PARTITION BY parent ORDER BY pos)"
        code = f"coalesce({last} {over}, {known})"
        found.append(f"{_small(code, level.given['prev.' + name])} AS {quoted('c:prev.' + name)}")
    return [*use, *found]


def _kept(level: Level) -> list[str]:
    measured = [name for name, domain in level.own.items() if domain.measured]
    values = [f"v:{name}" for name in measured]
    own = [f"g:{level.name}.{name}" for name in measured if not name.startswith("#")]
    codes = [f"c:{name}" for name in (*level.own, *level.given)]
    return ["unit", "id", "key", "unit_n", *codes, *values, *own, *_above(level)]


def _small(code: str, domain: Domain) -> str:
    return f"({code})::{'UTINYINT' if domain.size < 256 else 'INTEGER'}"


def _enum(table: str, name: str) -> str:
    return quoted(f"of {table}.{name}")


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _list(files: Sequence[Path]) -> str:
    return "[" + ", ".join(_text(str(file)) for file in files) + "]"


def refused(what: str) -> SynthesisError:
    """An error about data: names tables and columns, never a value."""
    return SynthesisError("synth_data", f"The data cannot be used: {what}.", "数据不可用。")
