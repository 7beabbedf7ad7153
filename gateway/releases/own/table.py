"""The file of own rows of one profile: a table per view, looked up by institution first.

Rows are exact: they are the institution's own. A figure of its peers is rounded, or hidden. `marks`
has a letter per measure, as in a cell file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from gateway.releases.manifest import OwnTable

Value: TypeAlias = str | int | float | None
Line: TypeAlias = tuple[Value, ...]
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class OwnSelection:
    """The own rows a query asks for; `institution` is the decision's word, never the question's."""

    service: str
    release_id: str
    profile_key: str
    table: OwnTable
    institution: str
    periods: tuple[str, ...]
    geo: tuple[str, ...]
    measures: tuple[str, ...]
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnPage:
    """Some rows, by column; `total` counts all rows of the answer."""

    total: int
    keys: dict[str, list[Value]]
    values: dict[str, list[Value]]
    marks: dict[str, str]


def own_file(profile_key: str) -> str:
    """Name of the file of own rows of a profile."""
    return f"own-{profile_key}.sqlite"


def heads(table: OwnTable) -> tuple[str, ...]:
    """The columns of a table in their order."""
    names = tuple(measure.name for measure in table.measures)
    return ("institution", "period", "geo", "n", *table.dims, "marks", *names)


def write_own_file(path: Path, tables: Mapping[OwnTable, Iterable[Line]]) -> None:
    """Write the tables; the same rows give the same bytes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        con.execute("PRAGMA journal_mode = OFF")
        con.execute("PRAGMA synchronous = OFF")
        con.execute("BEGIN")
        for table, lines in tables.items():
            names = ", ".join(f'"{name}"' for name in heads(table))
            con.execute(
                f'CREATE TABLE "{table.name}" ({names}, '
                "PRIMARY KEY (institution, period, geo, n)) WITHOUT ROWID"
            )
            holes = ", ".join("?" * len(heads(table)))
            con.executemany(f'INSERT INTO "{table.name}" VALUES ({holes})', lines)
        con.execute("COMMIT")


def read_own(con: sqlite3.Connection, asked: OwnSelection, offset: int, limit: int) -> OwnPage:
    """Rows of one institution. Names come from the manifest, whatever was asked is bound."""
    table = asked.table
    if not {*asked.where} <= {*table.dims} or not asked.institution:
        raise ValueError("own rows are asked for by the institution and dims of their table")
    chosen = [f'"{dim}" = ?' for dim in asked.where]
    some = " AND ".join(
        [
            "institution = ?",
            f"period IN ({_holes(asked.periods)})",
            f"geo IN ({_holes(asked.geo)})",
            *chosen,
        ]
    )
    bound = [asked.institution, *asked.periods, *asked.geo, *asked.where.values()]
    (total,) = con.execute(f'SELECT count(*) FROM "{table.name}" WHERE {some}', bound).fetchone()
    names = ["period", "geo", *table.dims, "marks", *asked.measures]
    found = con.execute(
        f'SELECT {", ".join(_quoted(names))} FROM "{table.name}" WHERE {some} '
        "ORDER BY period, geo, n LIMIT ? OFFSET ?",
        [*bound, limit, offset],
    ).fetchall()
    columns = dict(zip(names, zip(*found, strict=True), strict=True)) if found else {}
    letters = [measure.name for measure in table.measures]
    marks = columns.get("marks", ())
    return OwnPage(
        total,
        {name: list(columns.get(name, ())) for name in ("period", "geo", *table.dims)},
        {name: list(columns.get(name, ())) for name in asked.measures},
        {name: "".join(str(one)[letters.index(name)] for one in marks) for name in asked.measures},
    )


def _holes(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]
