"""Read the warehouse: run a service's facts in DuckDB, to be staged or handed out as atoms.

One connection sees the valid rows of every table of one warehouse version and nothing else. Facts
are merged to one row per key before they leave DuckDB, amounts as integers of their last decimal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gateway.errors import OperatorError
from gateway.releases.kernel import Ints
from synthetic.warehouse.schema import TABLES, arrow_schema

_FLOAT_SCALE = 6  # decimals kept of a column that has no exact type
_BATCH = 500_000  # rows that leave DuckDB together
MEMORY = "1536MiB"  # of each connection: two loaders and the build itself stay below 6 GiB
_VALID = " WHERE vali_flag = '1'"
_SHARED = ("inpatient",)  # views of many joins and few rows
_WORD = re.compile(r"[a-z_0-9]+")
_FIXED = ("period_m", "geo_county", "psn_no", "fixmedins_code")


@dataclass(frozen=True)
class Input:
    """One table a release was built from."""

    table: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Words:
    """A column of strings as codes into its sorted values; -1 where there was none."""

    codes: npt.NDArray[np.int32]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Atoms:
    """The rows of one fact. `numbers` are whole; divide by 10**scale of the column."""

    words: dict[str, Words]
    numbers: dict[str, Ints]
    present: dict[str, npt.NDArray[np.bool_]]
    scales: dict[str, int]
    rows: int


@dataclass(frozen=True)
class Query:
    """A fact as it is read: the columns that key its rows, and the decimals of its numbers."""

    sql: str
    names: tuple[str, ...]
    scales: Mapping[str, int]
    each: bool

    @property
    def numbers(self) -> tuple[str, ...]:
        """What a row holds besides its keys."""
        return ("counting", *self.scales)

    def statement(self, season: str = "") -> str:
        """One row per key, or each row as it is; with a column `season` if one is named."""
        keys = [f'"{name}"' for name in self.names]
        texts = [f"CAST({key} AS VARCHAR) AS {key}" for key in keys]
        counting = "coalesce(counting, false)"
        counting = counting if self.each else f"bool_or({counting})"
        numbers = [_number(name, scale, self.each) for name, scale in self.scales.items()]
        heads = [f"{season} AS season"] if season else []
        some = " WHERE period_m IS NOT NULL" if season else ""
        tail = "" if self.each else f" GROUP BY {', '.join(keys)}"
        return (
            f"SELECT {', '.join([*heads, *texts])}, {counting} AS counting, {', '.join(numbers)} "
            f"FROM ({self.sql}\n) AS fact{some}{tail}"
        )


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Source:
    """One warehouse version, open for the facts of any service."""

    def __init__(
        self, version: Path, rollups: str, *,
        threads: int = 1, memory: str = MEMORY, spill: Path | None = None,
        extra: Mapping[str, Path] = MappingProxyType({}),
    ):  # fmt: skip
        """`extra` are tables, as Parquet files, that lie beside the version; all rows count."""
        self.version, self.extra = version, extra
        self.tables = sorted(version.glob("*.parquet"))
        if not self.tables:
            raise OperatorError("warehouse_empty", f"No tables in {version}.")
        self._spill = TemporaryDirectory(prefix=".spill-", dir=spill)
        self._con = duckdb.connect(":memory:")
        self._kept: set[str] = set()
        try:
            self._open(rollups, threads, memory)
        except BaseException:
            self.close()
            raise

    def _open(self, rollups: str, threads: int, memory: str) -> None:
        self._con.execute("SET temp_directory = $d", {"d": self._spill.name})
        self._con.execute("SET threads = $n", {"n": threads})
        self._con.execute("SET memory_limit = $m", {"m": memory})
        self._con.execute("SET preserve_insertion_order = false")
        self._con.execute("SET enable_progress_bar = false")  # it goes to standard output
        # Else every naming of a table in a view holds its file's footer: 2 GiB of 2 M persons.
        self._con.execute("SET parquet_metadata_cache = true")
        for path in self.tables:
            self._view(path.stem, path, _VALID)
        for name, path in self.extra.items():
            self._view(name, path)
        present = {path.stem for path in self.tables}
        for name in sorted(TABLES.keys() - present):  # older or imported: as if nothing was in it
            self._con.register(name, arrow_schema(TABLES[name]).empty_table())
        self._con.execute(rollups)

    def _view(self, name: str, path: Path, some: str = "") -> None:
        escaped = str(path).replace("'", "''")
        self._con.execute(
            f"CREATE OR REPLACE VIEW \"{name}\" AS SELECT * FROM read_parquet('{escaped}'){some}"
        )

    @contextmanager
    def only(self, tables: Iterable[str], condition: str) -> Iterator[None]:
        """See no rows of these tables but those with the condition, for the time of a block."""
        some = {name: self.files[name] for name in tables}
        try:
            for name, path in some.items():
                self._view(name, path, f"{_VALID} AND {condition}")
            yield
        finally:
            for name, path in some.items():
                self._view(name, path, _VALID)

    @property
    def files(self) -> dict[str, Path]:
        """The tables of this version by name; a row counts while its `vali_flag` is '1'."""
        return {path.stem: path for path in self.tables}

    @property
    def empty(self) -> dict[str, dict[str, str]]:
        """The columns, with their types, of tables this version does not have."""
        missing = sorted(TABLES.keys() - self.files.keys())
        return {table: self._types(f'FROM "{table}"') for table in missing}

    def close(self) -> None:
        self._con.close()
        self._spill.cleanup()

    def inputs(self, digests: Mapping[str, str]) -> tuple[Input, ...]:
        """Every table with its content hash."""
        found = []
        for path in self.tables:
            rows = self.scalar(f'SELECT count(*) FROM "{path.stem}"')
            found.append(Input(path.stem, digests[path.stem], rows))
        return tuple(found)

    def scalar(self, sql: str) -> int:
        """One whole number; 0 for none."""
        row = self._con.execute(sql).fetchone()
        return int(row[0] or 0) if row else 0

    def columns(self, sql: str) -> list[str]:
        """The names of the columns a query gives."""
        return list(self._types(sql.strip().rstrip(";")))

    def wanted(self, sql: str, words: Sequence[str], sums: Sequence[str], each: bool) -> Query:
        """A fact as it is read: `sums` added up per key, or each row as it is if `each`."""
        sql = sql.strip().rstrip(";")
        types = self._types(sql)
        names = [*_FIXED[:2], *words, *_FIXED[2:], *(["maker"] if "maker" in types else [])]
        missing = sorted({*names, *sums, "counting", "magnitude"} - types.keys())
        if missing:
            raise OperatorError("fact_columns", f"A fact lacks the columns {', '.join(missing)}.")
        scales = {name: _scale(types[name]) for name in ("magnitude", *sums)}
        return Query(sql, tuple(names), scales, each)

    def atoms(self, query: Query) -> Atoms:
        """The atoms of a whole fact."""
        self.keep(query.sql)
        reader = self._con.sql(query.statement()).to_arrow_reader(_BATCH)
        return as_atoms(_encoded(reader, query.names), query.names, query.scales)

    def run(self, sql: str) -> None:
        """Have something done."""
        self._con.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:  # of any types
        """All rows of a small answer."""
        return self._con.execute(sql).fetchall()

    def keep(self, sql: str) -> None:
        """Run a view that several facts share once, with the first of them, and lay it aside."""
        reached = {*_WORD.findall(sql)}
        for name in (one for one in _SHARED if one in reached - self._kept):
            laid = self.lay_aside(f"FROM {name}", name)
            self._con.execute(f"CREATE OR REPLACE VIEW {name} AS {laid}")
            self._kept.add(name)

    def lay_aside(self, sql: str, name: str) -> str:
        """Run a query into a file of this connection's own; a query that gives its rows again."""
        path = Path(self._spill.name) / f"{name}.parquet"
        escaped = str(path).replace("'", "''")
        typed = self.cast(sql)
        self._con.execute(f"COPY ({sql}) TO '{escaped}' (FORMAT parquet)")
        return typed(f"FROM read_parquet('{escaped}')")

    def cast(self, sql: str) -> Callable[[str], str]:
        """Gives another query with these columns the types this one has."""
        columns = ", ".join(
            f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind in self._types(sql).items()
        )
        return lambda other: f"SELECT {columns} FROM ({other}) AS rows_"

    def let_go(self, name: str) -> None:
        """Delete what was laid aside under a name."""
        (Path(self._spill.name) / f"{name}.parquet").unlink(missing_ok=True)

    def _types(self, sql: str) -> dict[str, str]:
        rows = self._con.execute(f"DESCRIBE {sql}").fetchall()
        return {str(row[0]): str(row[1]) for row in rows}


def _scale(kind: str) -> int:
    if kind.startswith("DECIMAL"):
        return int(kind.rstrip(")").split(",")[1])
    return _FLOAT_SCALE if kind in {"DOUBLE", "FLOAT"} else 0


def _number(name: str, scale: int, each: bool) -> str:
    whole = f'CAST(round("{name}" * {10**scale}) AS BIGINT)'
    return f'{whole} AS "{name}"' if each else f'CAST(sum({whole}) AS BIGINT) AS "{name}"'


def _encoded(reader: pa.RecordBatchReader, names: Sequence[str]) -> pa.Table:
    """The rows with their words as codes, made batch by batch: all texts at once would not fit."""
    words = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([(f.name, words if f.name in names else f.type) for f in reader.schema])
    batches = [
        pa.RecordBatch.from_arrays(
            [
                column.dictionary_encode() if field.name in names else column
                for field, column in zip(reader.schema, batch.columns, strict=True)
            ],
            schema=schema,
        )
        for batch in reader
    ]
    return pa.Table.from_batches(batches, schema).unify_dictionaries()


def as_atoms(table: pa.Table, names: Sequence[str], scales: Mapping[str, int]) -> Atoms:
    """Rows whose words are dictionary codes already, as atoms."""
    numbers, present = {}, {}
    for name in scales:
        column = table[name].combine_chunks()
        present[name] = np.asarray(pc.is_valid(column))
        numbers[name] = np.asarray(pc.fill_null(column, 0)).astype(np.int64)
    counting = np.asarray(table["counting"].combine_chunks()).astype(np.int64)
    words = {name: _words(table[name]) for name in names}
    return Atoms(words, {**numbers, "counting": counting}, present, dict(scales), table.num_rows)


def _words(column: pa.ChunkedArray) -> Words:
    encoded = column.combine_chunks()
    values = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(values)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    codes = np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int32)
    known = codes >= 0
    codes[known] = rank[codes[known]]
    return Words(codes, tuple(values[order]))
