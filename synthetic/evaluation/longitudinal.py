"""What one-row marginals cannot see: how many rows a person has, how far apart they lie, how
long somebody stays, how alike one visit is to the next, and how few persons cost how much.

Every figure is one SQL over a view, so it is the same for the real, the other real, and the
synthetic persons: `SERIES` values by name, and single figures by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan

import duckdb

GAPS = (0, 1, 3, 7, 14, 30, 60, 90, 180, 365)
"""Upper ends of the classes of days between one event and the next; the last is open."""
STAYED = (0, 30, 60, 90, 120, 180, 240, 300, 365, 545, 730)
REPEATS = (1, 2, 3, 5, 10, 20)
TOP = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5)
MOST = 50
"""Rows of a parent are counted up to here; above, they are one class."""


def quoted(name: str) -> str:
    """A name as SQL: nothing in it can end it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Link:
    """Rows of `child` that belong to a row of `parent` (by `foreign_key` = `parent_key`)."""

    child: str
    parent: str
    foreign_key: str
    parent_key: str

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"{self.child} per {self.parent}"


@dataclass(frozen=True)
class Events:
    """A table of dated rows of persons: `unit` whose they are, `time` a date or a day's number,
    `numbers` the columns whose likeness from one to the next counts, `amounts` what is summed."""

    table: str
    unit: str
    time: str | None
    numbers: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Course:
    """Figures of one side: distributions (shares), curves (share against its x), and figures."""

    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


def course(
    connection: duckdb.DuckDBPyConnection,
    side: str,
    links: Sequence[Link],
    events: Sequence[Events],
) -> Course:
    """All figures of the tables in schema `side`."""
    shares = {one.name: _children(connection, side, one) for one in links}
    curves: dict[str, Sequence[tuple[float, float]]] = {}
    figures: dict[str, float] = {}
    for one in events:
        if one.time is not None:
            _step(connection, side, one)
            shares[f"{one.table}: days to the next"] = _gaps(connection, one)
            curves[f"{one.table}: still seen after so many days"] = _persistence(connection)
            figures |= _alike(connection, one)
        curves[f"{one.table}: persons with at least so many"] = _repeats(connection, side, one)
        for amount in one.amounts:
            curves[f"{one.table}.{amount}: share of the dearest persons"] = _concentration(
                connection, side, one, amount
            )
    return Course(shares, curves, figures)


def _children(connection: duckdb.DuckDBPyConnection, side: str, link: Link) -> Mapping[str, float]:
    rows = connection.execute(
        f"""
        SELECT least(coalesce(many, 0), {MOST}) AS many, count(*)
        FROM {side}.{quoted(link.parent)} p
        LEFT JOIN (SELECT {quoted(link.foreign_key)} AS k, count(*) AS many
                   FROM {side}.{quoted(link.child)} GROUP BY k) c
        ON c.k = p.{quoted(link.parent_key)} GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    return _shared({str(int(many)): count for many, count in rows})


def _step(connection: duckdb.DuckDBPyConnection, side: str, one: Events) -> None:
    """Each row beside the next of the same unit; ties of a day in no order that tells anything."""
    time, columns = quoted(one.time or ""), sorted({*one.numbers})
    kind = connection.execute(f"SELECT typeof({time}) FROM {side}.{quoted(one.table)} LIMIT 1")
    found = kind.fetchone()
    dated = found is not None and found[0].startswith(("DATE", "TIMESTAMP"))
    day = f"date_diff('day', DATE '1900-01-01', {time}::DATE)" if dated else f"{time}::DOUBLE"
    ahead = "".join(
        f", {quoted(c)}::DOUBLE AS v{at}, lead({quoted(c)}::DOUBLE) OVER w AS n{at}"
        for at, c in enumerate(columns)
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE step AS
        SELECT {quoted(one.unit)} AS unit, {day} AS day, lead({day}) OVER w - {day} AS gap{ahead}
        FROM {side}.{quoted(one.table)} WHERE {time} IS NOT NULL
        WINDOW w AS (PARTITION BY {quoted(one.unit)} ORDER BY {day})"""
    )


def _gaps(connection: duckdb.DuckDBPyConnection, one: Events) -> Mapping[str, float]:
    cases = " ".join(f"WHEN gap <= {end} THEN {at}" for at, end in enumerate(GAPS))
    rows = connection.execute(
        f"SELECT CASE {cases} ELSE {len(GAPS)} END, count(*) FROM step"
        " WHERE gap IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    labels = [f"≤ {end}" for end in GAPS] + [f"> {GAPS[-1]}"]
    labels[0] = "same day"
    return _shared({labels[at]: count for at, count in rows})


def _persistence(connection: duckdb.DuckDBPyConnection) -> Sequence[tuple[float, float]]:
    return _curve(
        connection,
        STAYED,
        "SELECT max(day) - min(day) AS x FROM step GROUP BY unit",
    )


def _repeats(
    connection: duckdb.DuckDBPyConnection, side: str, one: Events
) -> Sequence[tuple[float, float]]:
    return _curve(
        connection,
        REPEATS,
        f"SELECT count(*) AS x FROM {side}.{quoted(one.table)} GROUP BY {quoted(one.unit)}",
    )


def _curve(
    connection: duckdb.DuckDBPyConnection, at: Sequence[int], each: str
) -> Sequence[tuple[float, float]]:
    asked = ", ".join(f"avg((x >= {point})::INT)" for point in at)
    found = connection.execute(f"SELECT {asked} FROM ({each})").fetchone() or ()
    return [(float(x), float(y or 0.0)) for x, y in zip(at, found, strict=True)]


def _alike(connection: duckdb.DuckDBPyConnection, one: Events) -> Mapping[str, float]:
    found = {}
    for at, name in enumerate(sorted({*one.numbers})):
        asked = f"SELECT corr(v{at}, n{at}) FROM step WHERE gap IS NOT NULL"
        row = connection.execute(asked).fetchone()
        value = None if row is None else row[0]
        if value is not None and not isnan(value):
            found[f"{one.table}.{name}: correlation with the next"] = float(value)
    return found


def _concentration(
    connection: duckdb.DuckDBPyConnection, side: str, one: Events, amount: str
) -> Sequence[tuple[float, float]]:
    tops = ", ".join(
        f"sum(x) FILTER (WHERE place <= greatest(1, {top} * many)) / nullif(sum(x), 0)"
        for top in TOP
    )
    found = connection.execute(
        f"""SELECT {tops} FROM (SELECT x, row_number() OVER (ORDER BY x DESC) AS place,
        count(*) OVER () AS many FROM (SELECT sum({quoted(amount)}::DOUBLE) AS x
        FROM {side}.{quoted(one.table)} GROUP BY {quoted(one.unit)}))"""
    ).fetchone() or (None,) * len(TOP)
    return [(top, float(share or 0.0)) for top, share in zip(TOP, found, strict=True)]


def _shared(counts: Mapping[str, int]) -> Mapping[str, float]:
    whole = sum(counts.values())
    return {name: count / whole for name, count in counts.items()}


def apart(one: Course, other: Course) -> dict[str, float]:
    """How far two sides are apart: TVD of distributions, the largest gap of curves, and the
    absolute difference of figures. A distribution of one side only is 1 apart."""
    found = {
        name: sum(
            abs(one.shares[name].get(each, 0) - other.shares.get(name, {}).get(each, 0))
            for each in {*one.shares[name], *other.shares.get(name, {})}
        )
        / 2
        if other.shares.get(name)
        else 1.0
        for name in one.shares
    }
    for name, curve in one.curves.items():
        beside = dict(other.curves.get(name, ()))
        found[name] = max(abs(y - beside.get(x, 0.0)) for x, y in curve)
    for name, figure in one.figures.items():
        found[name] = abs(figure - other.figures.get(name, 0.0))
    return found
