"""The canonical warehouse schema: tables and national fields, from `tables.yaml`, `fields.csv`."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import yaml

_HERE = Path(__file__).parent
_COMMON = "vali_flag! rid crte_time updt_time poolarea_no"


@dataclass(frozen=True)
class Column:
    """A national field in a table.

    `kind` is str, decimal, datetime, date or int; `length` bounds str; `precision` and `scale`
    belong to decimal. `interface_names` are other names under which sources deliver it.
    """

    name: str
    kind: str
    length: int
    precision: int
    scale: int
    title_zh: str
    title_en: str
    item: str
    interface_names: tuple[str, ...]
    mandatory: bool = False

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of the Parquet column."""
        match self.kind:
            case "str":
                return pa.string()
            case "decimal":
                return pa.decimal128(self.precision, self.scale)
            case "datetime":
                return pa.timestamp("us")
            case "date":
                return pa.date32()
            case _:
                return pa.int32()

    @property
    def duckdb_type(self) -> str:
        """The DuckDB type that reads the Parquet column without a cast."""
        match self.kind:
            case "str":
                return "VARCHAR"
            case "decimal":
                return f"DECIMAL({self.precision},{self.scale})"
            case "datetime":
                return "TIMESTAMP"
            case "date":
                return "DATE"
            case _:
                return "INTEGER"


@dataclass(frozen=True)
class Table:
    """A warehouse table: its columns in file order and its key."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    title_zh: str
    note: str

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def arrow_schema(table: Table) -> pa.Schema:
    """The exact schema a Parquet file of this table has."""
    return pa.schema(
        [pa.field(c.name, c.arrow_type, nullable=not c.mandatory) for c in table.columns]
    )


def duckdb_columns(table: Table) -> Mapping[str, str]:
    """Column name → DuckDB type, in file order."""
    return {c.name: c.duckdb_type for c in table.columns}


def _field(row: Mapping[str, str]) -> Column:
    kind = row["kind"]
    found = re.fullmatch(r"(s|dt|da|d|i)(\d+)?(?:\.(\d+))?", kind)
    if found is None:
        raise ValueError(f"fields.csv: unknown kind {kind} of {row['name']}")
    code, first, second = found[1], int(found[2] or 0), int(found[3] or 0)
    word = {"s": "str", "d": "decimal", "dt": "datetime", "da": "date", "i": "int"}[code]
    return Column(
        name=row["name"],
        kind=word,
        length=first if code == "s" else 0,
        precision=first if code == "d" else 0,
        scale=second,
        title_zh=row["title_zh"],
        title_en=row["title_en"],
        item=row["item"],
        interface_names=tuple(row["aliases"].split()),
    )


def _columns(text: str, items: Mapping[str, str], fields: Mapping[str, Column]) -> list[Column]:
    columns = []
    for word in text.split():
        name = word.removesuffix("!")
        field = fields[name]
        item = items.get(name, field.item)
        columns.append(replace(field, mandatory=word.endswith("!"), item=item))
    return columns


def _load() -> Mapping[str, Table]:
    with (_HERE / "fields.csv").open(encoding="utf-8", newline="") as file:
        fields = {row["name"]: _field(row) for row in csv.DictReader(file)}
    text = (_HERE / "tables.yaml").read_text(encoding="utf-8")
    document: dict[str, dict[str, Any]] = yaml.load(
        text, Loader=yaml.CSafeLoader
    )  # Any: YAML is typed by use below
    tables = {}
    for name, entry in document.items():
        items = entry.get("items", {})
        columns = _columns(f"{entry['columns']} {_COMMON}", items, fields)
        tables[name] = Table(
            name, tuple(columns), tuple(entry["key"]), entry["title"], entry["note"]
        )
    return MappingProxyType(tables)


TABLES: Mapping[str, Table] = _load()
