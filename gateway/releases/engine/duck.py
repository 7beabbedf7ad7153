"""Facts run by DuckDB, in this process: the engine of a release unless another is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from gateway.releases.engine.port import in_order
from gateway.releases.source import Query, Source

_ROW_GROUP = 250_000


@dataclass(frozen=True)
class DuckDB:
    """The warehouse as the source has it open, the catalogue's views with it."""

    source: Source

    @property
    def name(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        """Write a fact as Parquet, a folder per season; the same rows give the same bytes.

        The catalogue's views are here as such, so that what several facts share is read once.
        """
        del name, whole
        self.source.keep(query.sql)
        escaped = str(folder).replace("'", "''")
        self.source.run(
            f"COPY ({in_order(query, query.sql, season)}) TO '{escaped}' (FORMAT parquet, "
            f"COMPRESSION zstd, PARTITION_BY (season), ROW_GROUP_SIZE {_ROW_GROUP})"
        )
