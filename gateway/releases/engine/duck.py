"""Facts run by DuckDB, in this process: the engine of a release unless another is named.

A fact is run in two steps: first its rows as they come, each into the file of its season, then
season by season they are added up and put in order. What joins and ranks everything is over before
what groups and sorts begins, and that holds one season alone: the limit of memory is not shared.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from gateway.releases.engine.port import ordering
from gateway.releases.source import Query, Source

_ROW_GROUP = 250_000
_ROUGH_ROW_GROUP = 20_000  # of rows on their way: as many as seasons are held at a time


@dataclass(frozen=True)
class DuckDB:
    """The warehouse as the source has it open, the catalogue's views with it."""

    source: Source

    @property
    def name(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        """Write a fact as Parquet, a folder per season; the same rows give the same bytes.

        The catalogue's views are here as such, so that what several facts share is read once; the
        whole statement names all that the fact reaches.
        """
        del name
        self.source.keep(whole)
        rough = folder / ".rows"
        rows = replace(query, each=True).statement(f"coalesce({season}, '')")
        self.source.run(
            f"COPY ({rows}) TO {_quoted(rough)} (FORMAT parquet, COMPRESSION snappy, "
            f"PARTITION_BY (season), ROW_GROUP_SIZE {_ROUGH_ROW_GROUP})"
        )
        for part in sorted(rough.glob("season=*")):
            target = folder / part.name
            target.mkdir()
            self.source.run(
                f"COPY ({_summed(query, part)}) TO {_quoted(target / 'data_0.parquet')} "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            )
            shutil.rmtree(part)
        shutil.rmtree(rough, ignore_errors=True)


def _summed(query: Query, part: Path) -> str:
    """The rows of a season added up by their keys and put in order."""
    keys = ", ".join(f'"{name}"' for name in query.names)
    numbers = ", ".join(f'CAST(sum("{name}") AS BIGINT) AS "{name}"' for name in query.scales)
    rows = f"FROM read_parquet({_quoted(part / '*.parquet')}, hive_partitioning = false)"
    if not query.each:
        rows = f"SELECT {keys}, bool_or(counting) AS counting, {numbers} {rows} GROUP BY {keys}"
    return f"FROM ({rows}) AS fact ORDER BY {ordering(query)}"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
