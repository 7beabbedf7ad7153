"""The engine that adds up: DuckDB with a bound on its memory, what is beyond spills to a folder.

Everything it is asked is plain SQL over Parquet files and Arrow tables, so that another engine can
stand here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from gateway.errors import OperatorError
from gateway.journal.names import make_folder


@dataclass(frozen=True)
class Limits:
    """What adding up may use of the machine."""

    memory: str = "1GiB"
    threads: int = 2


MODEST = Limits()


@contextmanager
def engine(
    folder: Path | None = None, limits: Limits = MODEST
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine of its own that spills under `folder` (none: where the system keeps what is
    temporary) and leaves nothing behind."""
    if folder is not None:
        make_folder(folder)
    with (
        TemporaryDirectory(prefix="spill-", dir=folder) as spill,
        duckdb.connect(":memory:") as db,
    ):
        db.execute("SET temp_directory = $d", {"d": spill})
        db.execute("SET memory_limit = $m", {"m": limits.memory})
        db.execute("SET threads = $n", {"n": limits.threads})
        db.execute("SET preserve_insertion_order = false")
        db.execute("SET enable_progress_bar = false")
        db.execute("SET TimeZone = 'UTC'")
        try:
            yield db
        except duckdb.OutOfMemoryException as error:
            raise OperatorError(
                "engine_memory",
                f"Adding up needs more than {limits.memory} of memory or the room to spill: free "
                "some, or do it on a larger machine.",
            ) from error


def table(db: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Everything a question yields."""
    return db.sql(sql).to_arrow_table()


def batches(
    db: duckdb.DuckDBPyConnection, sql: str, rows: int = 10_000
) -> Iterator[pa.RecordBatch]:
    """What a question yields, not much more than so many rows at a time."""
    yield from db.sql(sql).to_arrow_reader(rows)
