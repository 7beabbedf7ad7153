"""Bring sources into Parquet as they are: every value text, every row with its file and line.

A record that is no record (wrong number of columns, broken quote, undecodable bytes) is set aside
with its line; everything else is staged, whatever it says.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gateway.warehouse.mapping import MappingError, Source
from gateway.warehouse.records import Block, Shape, read_text, records

LINE, FILE = "_line", "_file"


@dataclass(frozen=True)
class Malformed:
    """A line that is no record."""

    file: int
    line: int
    reason: str


@dataclass
class Staged:
    """A source in Parquet: what it holds and what could not even be read."""

    name: str
    null: tuple[str, ...] = ("",)
    columns: tuple[str, ...] = ()
    files: list[str] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    rows: int = 0
    malformed: list[Malformed] = field(default_factory=list)

    @property
    def read(self) -> int:
        """Records met in the files, malformed ones included."""
        return self.rows + len(self.malformed)

    def relation(self) -> str:
        """The staged rows as a DuckDB table function."""
        paths = ", ".join("'" + str(part).replace("'", "''") + "'" for part in self.parts)
        return f"read_parquet([{paths}], union_by_name = true)"


def stage(
    connection: duckdb.DuckDBPyConnection, name: str, source: Source, base: Path, scratch: Path
) -> Staged:
    """Stage every file of a source; MappingError if a file is missing or laid out differently."""
    staged = Staged(name, source.null_values)
    for file in _files(name, source, base):
        part = scratch / f"{name}-{len(staged.files)}.parquet"
        number = len(staged.files)
        kind = source.format or ("parquet" if file.suffix == ".parquet" else "csv")
        if kind == "parquet":
            columns = _stage_parquet(connection, file, part, number)
        else:
            columns = _stage_csv(file, source, part, number, staged)
        _same_columns(name, staged, columns, file)
        staged.files.append(str(file.relative_to(base)) if file.is_relative_to(base) else file.name)
        staged.parts.append(part)
        staged.rows += pq.read_metadata(part).num_rows
    return staged


def _files(name: str, source: Source, base: Path) -> list[Path]:
    found: list[Path] = []
    for pattern in source.files:
        root, relative = (base, pattern)
        if Path(pattern).is_absolute():
            root, relative = Path(Path(pattern).anchor), str(Path(pattern).relative_to("/"))
        matches = sorted(path for path in root.glob(relative) if path.is_file())
        if not matches:
            raise MappingError(
                "mapping.no_files",
                f"sources.{name}.files: nothing matches {pattern!r} beside the mapping file.",
                "数据源没有匹配的文件。",
            )
        found += [path for path in matches if path not in found]
    return found


def _same_columns(name: str, staged: Staged, columns: tuple[str, ...], file: Path) -> None:
    if not staged.columns:
        staged.columns = columns
    elif set(columns) != set(staged.columns):
        differing = ", ".join(sorted(set(columns) ^ set(staged.columns)))
        raise MappingError(
            "mapping.columns_differ",
            f"sources.{name}: {file.name} has other columns than the files before it: {differing}",
            "同一数据源的文件列名不一致。",
        )


def _stage_parquet(
    connection: duckdb.DuckDBPyConnection, file: Path, part: Path, number: int
) -> tuple[str, ...]:
    try:
        columns = tuple(pq.read_schema(file).names)
    except (OSError, pa.ArrowException) as error:
        raise MappingError(
            "source.unreadable", f"{file.name} is not a readable Parquet file.", "文件无法读取。"
        ) from error
    listed = ", ".join(f"CAST({_name(column)} AS VARCHAR) AS {_name(column)}" for column in columns)
    target = str(part).replace("'", "''")
    connection.execute(
        f"COPY (SELECT {listed}, {number} AS {FILE}, file_row_number + 1 AS {LINE} "
        "FROM read_parquet(?, file_row_number = true)) "
        f"TO '{target}' (FORMAT parquet, COMPRESSION snappy)",
        [str(file)],
    )
    return columns


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _stage_csv(
    file: Path, source: Source, part: Path, number: int, staged: Staged
) -> tuple[str, ...]:
    texts = read_text(file, source.encoding)
    columns, rest, first = _header(file, source, texts)
    quote = "" if source.quote == "none" else source.quote
    shape = Shape(len(columns), source.delimiter, quote, source.max_record_lines)
    schema = pa.schema(
        [*(pa.field(name, pa.string()) for name in columns), (FILE, pa.int32()), (LINE, pa.int64())]
    )
    with pq.ParquetWriter(part, schema, compression="snappy") as writer:
        for block in records(rest, shape, first):
            staged.malformed += [Malformed(number, line, why) for line, why in block.malformed]
            if len(block.lines):
                writer.write_table(_parsed(file, block, columns, shape, number).cast(schema))
    return columns


def _header(
    file: Path, source: Source, texts: Iterator[bytes]
) -> tuple[tuple[str, ...], Iterator[bytes], int]:
    """The column names, the text after them, and the line it begins at."""
    if not source.header:
        return source.columns, texts, 1
    head = b""
    for text in texts:
        head += text
        if b"\n" in head:
            break
    line, _, rest = head.partition(b"\n")
    quote = source.quote if source.quote != "none" else '"'
    reader = csv.reader([line.decode()], delimiter=source.delimiter, quotechar=quote)
    names = [name.strip() for name in next(reader, [])]
    counted = Counter(name.lower() for name in names)
    twice = [name for name in names if counted[name.lower()] > 1 or not name]
    if not names or twice or "\ufffd" in "".join(names):
        what = f"the column name {twice[0]!r} twice or empty" if twice else "no readable header"
        raise MappingError(
            "source.header",
            f"{file.name} has {what}; check encoding, delimiter and header of the source.",
            "表头有误，请检查编码、分隔符与 header 设置。",
        )
    return tuple(names), chain([rest] if rest else [], texts), 2


def _parsed(
    file: Path, block: Block, columns: tuple[str, ...], shape: Shape, number: int
) -> pa.Table:
    """The records of a block as a table of texts; as many rows as the block has lines."""
    table = pacsv.read_csv(
        pa.BufferReader(block.text),
        pacsv.ReadOptions(column_names=list(columns), block_size=max(len(block.text), 1)),
        pacsv.ParseOptions(
            delimiter=shape.delimiter,
            quote_char=shape.quote or False,
            newlines_in_values=bool(shape.quote),
        ),
        pacsv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
        ),
    )
    if table.num_rows != len(block.lines):
        raise MappingError(
            "source.ambiguous",
            f"{file.name} cannot be cut into records reliably near line {int(block.lines[0])}; "
            "check quote and delimiter of the source.",
            "文件无法可靠地拆分为记录，请检查 quote 与 delimiter。",
        )
    rows = table.num_rows
    return table.append_column(FILE, pa.array([number] * rows, pa.int32())).append_column(
        LINE, pa.array(block.lines, pa.int64())
    )
