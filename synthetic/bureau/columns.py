"""Arrow columns built straight from NumPy buffers: exact decimals, padded ids, coded strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array
from synthetic.bureau.days import EPOCH
from synthetic.warehouse.schema import Table

_DIGITS = np.frombuffer("".join(f"{i:04d}" for i in range(10_000)).encode(), dtype=np.uint8)
_QUADS = _DIGITS.reshape(10_000, 4)
_NULLS = {"vali_flag": "1", "poolarea_no": "990100"}


def decimal(scaled: Array, precision: int, scale: int, valid: Array | None = None) -> pa.Array:
    """Decimals from integers already multiplied by 10^scale."""
    words = np.empty((len(scaled), 2), dtype=np.int64)
    words[:, 0] = scaled
    words[:, 1] = words[:, 0] >> 63
    bitmap = None
    if valid is not None:
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    kind = pa.decimal128(precision, scale)
    return pa.Array.from_buffers(kind, len(scaled), [bitmap, pa.py_buffer(words)])


def money(fen: Array) -> pa.Array:
    """Yuan with two decimals from integer fen."""
    return decimal(fen, 16, 2)


def padded(prefix: str, numbers: Array, digits: int, suffix: str = "") -> pa.Array:
    """Strings of one length: prefix, the number with leading zeros (digits % 4 == 0), suffix."""
    n = len(numbers)
    head, tail = prefix.encode(), suffix.encode()
    width = len(head) + digits + len(tail)
    text = np.empty((n, width), dtype=np.uint8)
    text[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    rest = np.asarray(numbers).astype(np.uint32)  # ids stay below 2^32; divides twice as fast
    for at in range(len(head) + digits - 4, len(head) - 1, -4):
        high = rest // np.uint32(10_000)
        text[:, at : at + 4] = _QUADS[rest - high * np.uint32(10_000)]
        rest = high
    if tail:
        text[:, width - len(tail) :] = np.frombuffer(tail, dtype=np.uint8)
    offsets = (np.arange(n + 1, dtype=np.int64) * width).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), n, buffers)


def coded(index: Array, labels: Sequence[str] | pa.Array) -> pa.Array:
    """Strings by index into labels; a negative index is null.

    Labels may repeat; the dictionary written does not, because the Parquet writer orders repeated
    entries by chance and the bytes of a file must depend on the seed alone.
    """
    codes = np.asarray(index, dtype=np.int32)
    if isinstance(labels, pa.Array):
        words = labels
    else:
        place = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        words = pa.array(list(place), pa.string())
        if len(place) < len(labels):
            first = np.array([place[label] for label in labels], dtype=np.int32)
            codes = np.where(codes < 0, -1, first[codes])
    missing = codes < 0
    indices = pa.array(codes, mask=missing) if missing.any() else pa.array(codes)
    return pa.DictionaryArray.from_arrays(indices, words)


def constant(value: str, size: int) -> pa.Array:
    """The same string in every row."""
    return coded(np.zeros(size, dtype=np.int32), [value])


def dates(days: Array, valid: Array | None = None) -> pa.Array:
    """Dates from day numbers."""
    values = (np.asarray(days) + EPOCH).astype(np.int32)
    return pa.array(values, pa.date32(), mask=None if valid is None else ~valid)


def moments(seconds: Array, valid: Array | None = None) -> pa.Array:
    """Timestamps from seconds since the window began."""
    values = (np.asarray(seconds, dtype=np.int64) + EPOCH * 86_400) * 1_000_000
    kind = pa.timestamp("us")
    return pa.array(values, kind, mask=None if valid is None else ~valid)


def assemble(table: Table, columns: Mapping[str, pa.Array], size: int) -> pa.Table:
    """All columns of the table in order; what is not given is null (or the common constant)."""
    unknown = set(columns) - {c.name for c in table.columns}
    if unknown:
        raise KeyError(f"{table.name} has no column {sorted(unknown)}")
    arrays, fields = [], []
    for column in table.columns:
        array = columns.get(column.name)
        if array is None and column.name in _NULLS:
            array = constant(_NULLS[column.name], size)
        if array is None:
            array = pa.nulls(size, column.arrow_type)
        arrays.append(array)
        fields.append(pa.field(column.name, array.type, nullable=not column.mandatory))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
