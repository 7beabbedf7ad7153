"""Files written row by row: NDJSON, CSV, Parquet, Arrow; measured and summed as they are written.

A batch is rendered by the same code as a page answer, so a value is the same in both. No writer
holds more than a batch; Parquet's holds one row group.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import orjson
import pyarrow as pa
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash
from pyarrow import parquet

from gateway.serving.accept import ARROW, CSV
from gateway.serving.render import RENDER, Table


class Summed(io.RawIOBase):
    """A file that knows its size and checksums; only ever written to its end.

    SM3 comes from `cryptography`, whose OpenSSL always has it; the interpreter's own may not.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("wb", buffering=1 << 20)
        self._sha256, self._sm3 = Hash(SHA256()), Hash(SM3())
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        """All of it, or an error."""
        octets = bytes(data)  # type: ignore[call-overload]  # any buffer, as pyarrow hands it over
        self._file.write(octets)
        self._sha256.update(octets)
        self._sm3.update(octets)
        self.size += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self.size

    def settle(self) -> tuple[str, str]:
        """Bring everything to stable storage; the SHA-256 and the SM3 of the whole."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._sha256.finalize().hex(), self._sm3.finalize().hex()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class Writer(Protocol):
    """Takes table after table; `end` writes what comes last."""

    def add(self, table: Table) -> None: ...

    def end(self) -> None: ...


class _Lines:
    """One row a line, each as it stands in the `data` of a page."""

    def __init__(self, out: Summed) -> None:
        self._out = out

    def add(self, table: Table) -> None:
        columns: list[Iterator[object]] = [iter(column) for column in table.keys.values()]
        for name, values in table.values.items():
            pairs = zip(values, table.flags[name], strict=True)
            columns.append({"value": value, "flag": flag} for value, flag in pairs)
        names = [*table.keys, *table.values]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        option = orjson.OPT_APPEND_NEWLINE
        self._out.write(b"".join(orjson.dumps(row, option=option) for row in rows))

    def end(self) -> None:
        """Nothing comes last."""


class _Csv:
    """The page's CSV, its header once."""

    def __init__(self, out: Summed) -> None:
        self._out, self._begun = out, False

    def add(self, table: Table) -> None:
        body = RENDER[CSV](table)({}, None)
        header, end, rows = body.partition(b"\r\n")
        self._out.write(rows if self._begun else header + end + rows)
        self._begun = True

    def end(self) -> None:
        """Nothing comes last."""


class _Columns:
    """The page's Arrow batch, into a stream or a Parquet file; `notes` are the schema's."""

    def __init__(self, out: Summed, notes: dict[str, str], *, as_parquet: bool) -> None:
        self._out, self._notes, self._as_parquet = out, notes, as_parquet
        self._writer: pa.ipc.RecordBatchStreamWriter | parquet.ParquetWriter | None = None

    def add(self, table: Table) -> None:
        with pa.ipc.open_stream(RENDER[ARROW](table)({}, None)) as page:
            batch = page.read_next_batch().replace_schema_metadata(self._notes)
        if self._writer is None:
            self._writer = self._begin(batch.schema)
        self._writer.write_batch(batch)

    def _begin(self, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter | parquet.ParquetWriter:
        if self._as_parquet:
            return parquet.ParquetWriter(self._out, schema, compression="zstd")
        return pa.ipc.new_stream(self._out, schema)

    def end(self) -> None:
        if self._writer is not None:
            self._writer.close()


def writer(form: str, out: Summed, notes: dict[str, str]) -> Writer:
    """The writer of a format by its name."""
    if form == "ndjson":
        return _Lines(out)
    if form == "csv":
        return _Csv(out)
    return _Columns(out, notes, as_parquet=form == "parquet")


@contextmanager
def summed(path: Path) -> Iterator[Summed]:
    """A new file for the time of a block; it is taken away again where the block fails."""
    out = Summed(path)
    try:
        yield out
    except BaseException:
        with suppress(OSError):  # what is still to be written has no room either
            out.close()
        path.unlink(missing_ok=True)
        raise
    out.close()
