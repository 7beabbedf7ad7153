"""What must be known of all rows of a fact before one season of it is read.

Which months, places, institutions there are, what the records amount to month by month, and which
words occur below which: a few thousand numbers, whatever the size of the fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from gateway.catalogue.model import Service
from gateway.errors import OperatorError
from gateway.releases.kernel import Ints
from gateway.releases.shapes import coarser, fact_columns
from gateway.releases.source import Words

SHARED = ("geo_county", "fixmedins_code")
Document = dict[str, Any]  # JSON


@dataclass(frozen=True)
class Counted:
    """Combinations of words, coarse to fine, and how many rows have each."""

    words: tuple[Words, ...]
    rows: Ints


@dataclass(frozen=True)
class Survey:
    """All months with their amounts, the values of shared columns, and each dim's words."""

    scale: int  # decimals of the amounts
    amounts: Mapping[str, int]
    shared: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, Counted]

    @classmethod
    def of(cls, document: Document) -> Survey:
        """As `survey` wrote it down."""
        columns: Mapping[str, Document] = document["columns"]
        return cls(
            document["scale"],
            dict(document["amounts"]),
            {name: tuple(values) for name, values in document["shared"].items()},
            {name: _counted(own["width"], own["rows"]) for name, own in columns.items()},
        )

    def amount(self, month: str) -> int:
        """What the records of a month amount to, in whole units."""
        whole: int = self.amounts.get(month, 0) // 10**self.scale
        return whole


def chain(service: Service, column: str) -> tuple[str, ...]:
    """A column and what it rolls up to, coarse to fine."""
    up = coarser(service, column)
    return (column,) if up is None else (*chain(service, up), column)


def chains(service: Service, fact: str) -> dict[str, tuple[str, ...]]:
    """Every dim's column of a fact with what it rolls up to."""
    columns = fact_columns(service, service.facts[fact])
    found = {column: chain(service, column) for column in columns}
    for own in found.values():
        for name in own:
            if name not in columns:
                raise OperatorError(
                    "fact_columns", f"Fact {fact} has a level but not its coarser {name}."
                )
    return found


def survey(
    folder: Path, chains: Mapping[str, Sequence[str]], shared: Sequence[str], scale: int
) -> Document:
    """Count what was staged in a folder, to be kept with it."""
    if not any(folder.glob("*/*.parquet")):  # a fact without rows
        columns = {column: {"width": len(own), "rows": []} for column, own in chains.items()}
        return {"scale": scale, "amounts": {}, "shared": {}, "columns": columns}
    with duckdb.connect(":memory:") as con:
        con.execute("SET threads = 1")
        con.execute("SET enable_progress_bar = false")
        files = str(folder / "*" / "*.parquet").replace("'", "''")
        con.execute(f"CREATE VIEW fact AS FROM read_parquet('{files}', hive_partitioning = false)")
        return {
            "scale": scale,
            "amounts": dict(_rows(con, "period_m", "CAST(sum(magnitude) AS BIGINT)")),
            "shared": {name: _values(con, name) for name in shared},
            "columns": {
                column: {"width": len(own), "rows": _rows(con, ", ".join(own), "count(*)")}
                for column, own in chains.items()
            },
        }


def _values(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    return [row[0] for row in _rows(con, name, "count(*)") if row[0] is not None]


def _rows(con: duckdb.DuckDBPyConnection, keys: str, number: str) -> list[tuple[Any, ...]]:
    return con.execute(
        f"SELECT {keys}, {number} FROM fact GROUP BY {keys} ORDER BY {keys}"
    ).fetchall()


def _counted(width: int, rows: Sequence[Sequence[Any]]) -> Counted:
    words = tuple(_words([row[at] for row in rows]) for at in range(width))
    return Counted(words, np.array([row[-1] for row in rows], np.int64))


def _words(column: Sequence[str | None]) -> Words:
    values = tuple(sorted({word for word in column if word is not None}))
    place = {word: at for at, word in enumerate(values)}
    codes = [-1 if word is None else place[word] for word in column]
    return Words(np.array(codes, np.int32), values)
