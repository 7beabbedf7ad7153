"""A leaked file as columns of texts, whatever it was saved as; nothing in it is believed or run.

CSV (comma, semicolon, tab), NDJSON, the gateway's JSON, Parquet, Arrow, and XLSX where openpyxl is
installed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from gateway.errors import OperatorError

_MOST_BYTES: Final = 2 << 30
_MOST_ROWS: Final = 5_000_000
_ENCODINGS: Final = ("utf-8-sig", "gb18030")


@dataclass(frozen=True)
class Leaked:
    """Columns by name, every value as text; empty where there is none."""

    columns: Mapping[str, Sequence[str]]

    @property
    def rows(self) -> int:
        return max((len(column) for column in self.columns.values()), default=0)


def read_leaked(path: Path) -> Leaked:
    """The file's table; raises `OperatorError` where it is none that can be read."""
    if not path.is_file():
        raise OperatorError("watermark.file", f"There is no file {path.name}.")
    if path.stat().st_size > _MOST_BYTES:
        raise OperatorError("watermark.large", "The file is larger than 2 GiB: give a part of it.")
    try:
        columns = _read(path)
    except (ValueError, pa.ArrowException, csv.Error, KeyError, TypeError) as error:
        raise OperatorError(
            "watermark.unreadable",
            f"{path.name} is no CSV, NDJSON, JSON, Parquet, Arrow or XLSX table.",
        ) from error
    found = Leaked(columns)
    if not found.rows:
        raise OperatorError("watermark.empty", f"{path.name} has no rows.")
    if found.rows > _MOST_ROWS:
        raise OperatorError("watermark.large", f"More than {_MOST_ROWS:,} rows: give a part.")
    return found


def _read(path: Path) -> dict[str, list[str]]:
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] == b"PAR1":
        return _of_arrow(pq.read_table(path))
    if head[:6] == b"ARROW1":
        return _of_arrow(pa.ipc.open_file(path).read_all())
    if head[:4] == b"\xff\xff\xff\xff":
        return _of_arrow(pa.ipc.open_stream(path.read_bytes()).read_all())
    if head[:2] == b"PK":
        return _of_xlsx(path)
    data = path.read_bytes()
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _of_json(data.removeprefix(b"\xef\xbb\xbf"))
    return _of_csv(data)


def _of_arrow(table: pa.Table) -> dict[str, list[str]]:
    return {
        name: [_text(value) for value in table.column(i).to_pylist()]
        for i, name in enumerate(_distinct(table.column_names))
    }


def _of_csv(data: bytes) -> dict[str, list[str]]:
    text = _decoded(data)
    first = text.partition("\n")[0]
    mark = max((",", "\t", ";", "|"), key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    header = next(lines, [])
    return _by_column(header, lines)


def _of_json(data: bytes) -> dict[str, list[str]]:
    """An answer of the gateway, a list of rows, or a row per line."""
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError:
        whole = [orjson.loads(line) for line in data.splitlines() if line.strip()]
    rows = whole.get("data", [whole]) if isinstance(whole, dict) else whole
    flat = [{name: _cell(value) for name, value in row.items()} for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    return {name: [_text(row.get(name)) for row in flat] for name in names}


def _of_xlsx(path: Path) -> dict[str, list[str]]:
    if find_spec("openpyxl") is None:
        raise OperatorError(
            "watermark.xlsx", "openpyxl is not installed: save the sheet as CSV and give that."
        )
    book = import_module("openpyxl").load_workbook(path, read_only=True, data_only=True)
    try:
        lines = book.worksheets[0].iter_rows(values_only=True)
        header = [_text(name) for name in next(lines, ())]
        return _by_column(header, ([_text(value) for value in line] for line in lines))
    finally:
        book.close()


def _by_column(header: Sequence[str], lines: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    names = _distinct(header)
    columns: dict[str, list[str]] = {name: [] for name in names}
    for line in lines:
        if any(line):
            padded = [*line, *[""] * (len(names) - len(line))]
            for name, value in zip(names, padded, strict=False):
                columns[name].append(value)
    return columns


def _distinct(names: Sequence[str]) -> list[str]:
    """Every column under a name of its own."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _cell(value: Any) -> Any:  # any JSON value
    """The figure of a `{value, flag}` cell, else the value itself."""
    return value.get("value") if isinstance(value, dict) else value


def _text(value: Any) -> str:  # any value a file can hold
    return "" if value is None else str(value).strip()


def _decoded(data: bytes) -> str:
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("no text")
