"""Make a view: run its SQL, mask every column, leave out who stands too alone, write it whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.errors import OperatorError
from gateway.masking.keys import MaskingKeys
from gateway.masking.plan import apply_arrow, plan
from gateway.rowviews.definition import RowView

CARD: Final = "card.json"
MOST_LEFT_OUT: Final = 0.5
"""Share of rows beyond which a view is withheld: what is left would not be about its people."""


@dataclass(frozen=True)
class Made:
    """A masked table, and what was found of its risk."""

    table: pa.Table
    left_out: int
    k: int
    """Persons in the smallest class that is left."""

    @property
    def share(self) -> float:
        """Share of rows that were left out."""
        rows: int = self.table.num_rows
        return self.left_out / max(1, rows + self.left_out)

    @property
    def verdict(self) -> str:
        """`release`, or `withhold` where too little is left."""
        return "release" if self.table.num_rows and self.share <= MOST_LEFT_OUT else "withhold"

    @property
    def risk(self) -> dict[str, Any]:
        """For the card: whole numbers and a share."""
        return {
            "k": self.k, "rows": self.table.num_rows, "left_out": self.left_out,
            "share_left_out": round(self.share, 4),
        }  # fmt: skip


def make(db: duckdb.DuckDBPyConnection, view: RowView, keys: MaskingKeys, least: int) -> Made:
    """The view over the rows `db` holds; classes of fewer than `least` persons are left out."""
    rows: pa.Table = db.sql(view.sql).to_arrow_table()
    if set(rows.column_names) != set(view.masks):
        raise OperatorError(
            "view.columns", f"The SQL of view {view.name} gives other columns than have a mask."
        )
    masked = apply_arrow(plan(view.masks, keys), rows)
    return _crowded(db, view, masked, least)


def _crowded(db: duckdb.DuckDBPyConnection, view: RowView, masked: pa.Table, least: int) -> Made:
    """The rows of classes with persons enough, in an order that tells nothing."""
    names = ", ".join(f'"{name}"' for name in view.quasi)
    same = " AND ".join(f'm."{name}" IS NOT DISTINCT FROM c."{name}"' for name in view.quasi)
    columns = ", ".join(f'm."{name}"' for name in view.masks)
    db.register("masked", masked)
    classes = f'SELECT {names}, count(DISTINCT "{view.person}") AS n FROM masked GROUP BY {names}'
    kept: pa.Table = db.sql(
        f"WITH class AS ({classes}) SELECT {columns}, c.n FROM masked m JOIN class c ON {same} "
        f"WHERE c.n >= ? ORDER BY {columns}",
        params=[least],
    ).to_arrow_table()
    db.unregister("masked")
    numbers = kept.column("n").to_pylist()
    table = kept.drop_columns(["n"])
    return Made(table, masked.num_rows - table.num_rows, min(numbers, default=0))


def write(folder: Path, view: RowView, made: Made, card: Callable[[Path], bytes]) -> None:
    """The table and its card, in a folder that is there whole or as it was.

    `card` is given the folder with the tables, so that it can tell their digests.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    draft.mkdir()
    try:
        pq.write_table(made.table, draft / f"{view.name}.parquet")
        (draft / CARD).write_bytes(card(draft))
        old = folder.with_name(f".{folder.name}-old-{secrets.token_hex(4)}")
        if folder.exists():
            folder.replace(old)
        draft.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
