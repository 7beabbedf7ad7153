"""One protected table in three formats: JSON, CSV (RFC 4180) and an Arrow stream.

All three carry the same cells and flags. Meta travels inside JSON and Arrow; the edge also sends
it as headers, which is where a CSV reader finds it. Rendering has two steps: cells can be rendered
in a thread, the meta is only known when the charge is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

import orjson
import pyarrow as pa

from gateway.serving.accept import ARROW, CSV, JSON

Value: TypeAlias = str | int | float | date | None
Meta: TypeAlias = Mapping[str, object]

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_HELD, _SHORT = 2047, 16 * 1024
"""Octets that are hashed without letting go of the interpreter, which takes longer to get back than
hashing that often; and up to how many it is worth it."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Table:
    """Columns of one page: keys (period, geo, dims), then values with their flags."""

    rows: int
    keys: Mapping[str, Sequence[Value]]
    values: Mapping[str, Sequence[Value]]
    flags: Mapping[str, list[str]]
    units: Mapping[str, str]


class Finish:
    """The last step: the cells are rendered already, meta and next cursor make them a body. What
    stands before those, `begins`, is the same in every body, and hashed once."""

    __slots__ = ("_begins", "_ends", "_hashed")

    def __init__(self, begins: bytes, ends: Callable[[Meta, str | None], bytes]) -> None:
        self._begins, self._ends, self._hashed = begins, ends, hashlib.sha256(begins)

    def __call__(self, meta: Meta, cursor: str | None) -> bytes:
        """The body."""
        return self._begins + self._ends(meta, cursor)

    def sha256(self, body: bytes) -> str:
        """The hash in hex of a body that this made."""
        hashed, rest = self._hashed.copy(), memoryview(body)[len(self._begins) :]
        step = _HELD if len(rest) <= _SHORT else len(rest)
        for at in range(0, len(rest), step):
            hashed.update(rest[at : at + step])
        return hashed.hexdigest()


def to_json(table: Table) -> Finish:
    """Rows of dim values and `{value, flag}` cells, then meta and the cursor of the next page."""
    columns: list[list[Any]] = [list(column) for column in table.keys.values()]  # any JSON value
    for name, values in table.values.items():
        pairs = zip(values, table.flags[name], strict=True)
        columns.append([{"value": value, "flag": flag} for value, flag in pairs])
    names = [*table.keys, *table.values]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    begins = b'{"data":' + orjson.dumps(rows) + b","

    def ends(meta: Meta, cursor: str | None) -> bytes:
        return orjson.dumps({"meta": meta, "next_cursor": cursor})[1:]

    return Finish(begins, ends)


def _harmless(text: Value) -> Value:
    """A text no spreadsheet runs as a formula; numbers stay as they are."""
    if isinstance(text, str) and text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def to_csv(table: Table) -> Finish:
    """UTF-8, CRLF, a header line; each measure has a value and a flag column; null is empty."""
    names, columns = list(table.keys), [list(map(_harmless, c)) for c in table.keys.values()]
    for name, values in table.values.items():
        names += [name, f"{name}_flag"]
        columns += [[_harmless(value) for value in values], list(table.flags[name])]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return Finish(text.getvalue().encode(), lambda meta, cursor: b"")


_KINDS = {"count": pa.int64(), "band": pa.string(), "code": pa.string()}


def _arrow_values(values: Sequence[Value], unit: str) -> pa.Array:
    if unit == "CNY":
        exact = [None if value is None else Decimal(str(value)) for value in values]
        return pa.array(exact, pa.decimal128(18, 2))
    kind = _KINDS.get(unit, pa.float64())
    if kind == pa.float64():
        return pa.array([None if value is None else float(str(value)) for value in values], kind)
    return pa.array(values, kind)


def to_arrow(table: Table) -> Finish:
    """An IPC stream of one batch; amounts are decimals, meta lies in the schema's metadata."""
    arrays = {name: pa.array(column, pa.string()) for name, column in table.keys.items()}
    for name, values in table.values.items():
        arrays[name] = _arrow_values(values, table.units[name])
        arrays[f"{name}_flag"] = pa.array(table.flags[name], pa.string())
    fields = [(name, array.type) for name, array in arrays.items()]

    def finish(meta: Meta, cursor: str | None) -> bytes:
        notes = {"sluice.meta": orjson.dumps(meta), "sluice.next_cursor": (cursor or "").encode()}
        schema = pa.schema(fields, metadata=notes)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.record_batch(list(arrays.values()), schema=schema))
        return sink.getvalue()

    return Finish(b"", finish)


RENDER: Mapping[str, Callable[[Table], Finish]] = {JSON: to_json, CSV: to_csv, ARROW: to_arrow}
