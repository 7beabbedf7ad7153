"""From the warehouse into the person source: kept columns only, persons under internal tokens.

For the builder's command: it reads the warehouse and has its own credentials. Settlements that undo
another one are no rows of their own: the one they undo is marked as refunded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from gateway.consent.subjects import Subjects
from gateway.persons.keeping import KNOWN, KNOWN_COLUMNS, PERSON, Kept, name_mac
from gateway.policy.readable import Columns, Kind

BATCH = 20_000
_REFUNDS = """
SELECT o.* REPLACE (
  CASE WHEN u.init_setl_id IS NULL THEN coalesce(o.refd_setl_flag, '0') ELSE '1' END
  AS refd_setl_flag)
FROM read_parquet('{file}') o
LEFT JOIN (SELECT DISTINCT init_setl_id FROM read_parquet('{file}')
  WHERE init_setl_id IS NOT NULL AND coalesce(refd_setl_flag, '0') = '1') u
  ON u.init_setl_id = o.setl_id
WHERE NOT (o.init_setl_id IS NOT NULL AND coalesce(o.refd_setl_flag, '0') = '1')
"""
_PEOPLE = "SELECT psn_no, certno, psn_name, die_date, brdy FROM read_parquet('{file}')"
_LAID: Mapping[str, str] = {"setl_d": _REFUNDS}
Batch = list[tuple[Any, ...]]  # Any: texts, dates, moments, as the kinds say


@dataclass(frozen=True)
class Loaded:
    """What a load holds: its name, and rows by table."""

    load: str
    rows: Mapping[str, int]


def load_name(now: datetime) -> str:
    """The name of a load; it stands in the books where a release would."""
    return f"persons-{now:%Y%m%dT%H%M%SZ}"


class Warehouse:
    """The current warehouse, read table by table."""

    def __init__(self, folder: Path, kept: Kept, subjects: Subjects) -> None:
        self._folder, self._kept = folder, kept
        self._db = duckdb.connect()
        self._db.execute("SET preserve_insertion_order = false")
        self._db.execute("SET enable_progress_bar = false")  # it goes to standard output
        self._know(subjects)

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _know(self, subjects: Subjects) -> None:
        """Persons by internal token; who has no certificate number cannot be asked about."""
        file = self._folder / "psn_info_b.parquet"
        rows = self._db.execute(_PEOPLE.format(file=_quoted(file))).fetchall()
        kept = [row for row in rows if row[1]]
        table = pa.table(
            {
                "was": pa.array([row[0] for row in kept], pa.string()),
                PERSON: pa.array([subjects.reference(row[1]) for row in kept], pa.string()),
                "name_mac": pa.array(
                    [name_mac(subjects, row[2]) if row[2] else None for row in kept], pa.string()
                ),
                "died": pa.array([row[3] for row in kept], pa.date32()),
                "born": pa.array([row[4] for row in kept], pa.date32()),
            }
        )
        self._db.register("found", table)
        self._db.execute("CREATE TABLE somebody AS FROM found")

    def tables(self) -> Mapping[str, Columns]:
        """Every table of the source."""
        return self._kept.whole()

    def batches(self, table: str) -> Iterator[Batch]:
        """The rows of a table, its columns in the order of `tables`."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute(self._query(table))
            while batch := cursor.fetchmany(BATCH):
                yield batch

    def _query(self, table: str) -> str:
        if table == KNOWN:
            names = ", ".join(f"min({name}) AS {name}" for name in KNOWN_COLUMNS if name != PERSON)
            return f"SELECT {PERSON}, {names} FROM somebody GROUP BY {PERSON} ORDER BY {PERSON}"
        columns = self._kept.tables[table]
        laid = _LAID.get(table, "SELECT * FROM read_parquet('{file}')")
        rows = laid.format(file=_quoted(self._folder / f"{table}.parquet"))
        if PERSON not in columns:
            names = ", ".join(_cast("t", name, kind) for name, kind in columns.items())
            return f"SELECT {names} FROM ({rows}) t"
        names = ", ".join(
            f"p.{PERSON}" if name == PERSON else _cast("t", name, kind)
            for name, kind in columns.items()
        )
        return f"SELECT {names} FROM ({rows}) t JOIN somebody p ON p.was = t.{PERSON}"


def _cast(table: str, name: str, kind: Kind) -> str:
    """Amounts and numbers as exact text; the rest as it is."""
    return f"CAST({table}.{name} AS VARCHAR)" if kind == "str" else f"{table}.{name}"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


INDEXED: Mapping[str, tuple[str, ...]] = {
    "setl_d": ("setl_id",),
    "mdtrt_d": ("mdtrt_id",),
    "fee_list_d": ("setl_id",),
    "fixmedins_b": ("fixmedins_code",),
}
"""Keys by which rows are found besides the person."""


def indexed(table: str, columns: Columns) -> tuple[str, ...]:
    """Columns of a table that get an index each."""
    found = (PERSON, *INDEXED.get(table, ()))
    return tuple(name for name in found if name in columns)
