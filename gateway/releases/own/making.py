"""Make own rows while a release is built: run each view, benchmark its peers, write the file.

The views run where the warehouse is open (DuckDB), whatever engine staged the facts. They read the
warehouse's views, the service's facts as staged (`fact_<name>`) and what each institution delivered
(`delivered_quality`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.catalogue.model import OwnView, Peers, Service
from gateway.catalogue.own import columns_of, is_text, view_name
from gateway.releases.manifest import OwnTable, ReleaseError, Shown
from gateway.releases.own.peers import Guard, Member, band, benchmark
from gateway.releases.own.table import Line, own_file, write_own_file
from gateway.releases.quality import ByProvider
from gateway.releases.source import Source

DELIVERED = "delivered_quality"
_QUALITY = pa.schema(
    [(name, pa.string()) for name in ("period_m", "fixmedins_code", "kpi4")]
    + [("value", pa.float64())]
)
_PLACE = "city_of(house.fix_blng_admdvs)"
_ONE = 1_000_000
_CENT = Decimal("0.01")
Row = dict[str, Any]  # a row of a view: texts, whole numbers, decimals


@dataclass(frozen=True)
class Making:
    """What the views of one release are run on: periods, places, profiles of its readers."""

    service: Service
    texts: Mapping[str, str]  # the SQL of each view by its name
    kept: Sequence[str]  # views of the service's own that these read
    months: Sequence[str]
    places: Sequence[str]
    profiles: Mapping[str, Mapping[str, Any]]


def write_own(making: Making, source: Source, folder: Path, scratch: Path) -> tuple[OwnTable, ...]:
    """Write the own rows of every profile; what the manifest says of them."""
    own = making.service.own
    if own is None:
        return ()
    for name in making.kept:  # what several views read is read once
        source.run(f"CREATE TEMP TABLE kept_{name} AS FROM {name}")
        source.run(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM kept_{name}")
    tables = {}
    for view in own.views:
        rows = scratch / f"own-{view_name(view)}.parquet"
        source.run(f"COPY ({statement(making, view)}) TO '{_text(str(rows))}' (FORMAT parquet)")
        tables[view_name(view)] = (_table(view, rows), view, rows)
    for key, profile in sorted(making.profiles.items()):
        lines = {table: _lines(view, rows, profile, table) for table, view, rows in tables.values()}
        write_own_file(folder / own_file(key), lines)
    return tuple(table for table, _, _ in tables.values())


def statement(making: Making, view: OwnView) -> str:
    """A view's rows as they are kept: of known institutions, in these months and places."""
    units = {measure.name: measure.unit for measure in view.measures}
    columns = [f'CAST(own."{dim}" AS VARCHAR) AS "{dim}"' for dim in view.dims]
    columns += [_typed(name, units.get(name)) for name in columns_of(view)]
    months = ", ".join(f"'{_text(month)}'" for month in making.months) or "NULL"
    places = ", ".join(f"'{_text(place)}'" for place in making.places) or "NULL"
    heads = ["own.fixmedins_code AS institution", "own.period_m AS period", f"{_PLACE} AS geo"]
    order = ", ".join(str(i + 1) for i in range(len(heads) + len(view.dims)))
    return (
        f"SELECT {', '.join([*heads, *columns])} "
        f"FROM ({_bare(making.texts[view_name(view)])}\n) AS own "
        "JOIN fixmedins_b AS house ON house.fixmedins_code = own.fixmedins_code "
        f"WHERE own.period_m IN ({months}) AND {_PLACE} IN ({places}) "
        f"ORDER BY {order}"
    )


def told_of(source: Source, texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The months that own rows tell of, and the cities of the institutions they are of."""
    months: set[str] = set()
    places: set[str] = set()
    for text in texts:
        for month, place in source.rows(
            f"SELECT DISTINCT own.period_m, {_PLACE} "
            f"FROM ({_bare(text)}\n) AS own JOIN fixmedins_b AS house "
            "ON house.fixmedins_code = own.fixmedins_code WHERE own.period_m IS NOT NULL"
        ):
            months.add(str(month))
            places.add(str(place))
    return tuple(sorted(months)), tuple(sorted(places))


def write_delivered(path: Path, providers: Mapping[str, ByProvider]) -> None:
    """What each institution delivered, month by month, as a table that views can read."""
    rows = [
        {"period_m": month, "fixmedins_code": code, "kpi4": kpi, "value": score / _ONE}
        for month, standings in sorted(providers.items())
        if "-" in month
        for code, standing in sorted(standings.items())
        for kpi, score in sorted(standing.scores.items())
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=_QUALITY), path)


def fact_view(name: str, names: Sequence[str], scales: Mapping[str, int]) -> str:
    """The SQL of `fact_<name>`: a staged fact with its amounts as they were."""
    columns = [f'"{one}"' for one in names]
    for one, scale in scales.items():
        columns.append(
            f'"{one}" * CAST(\'{Decimal(1).scaleb(-scale)}\' AS DECIMAL(9, {scale})) AS "{one}"'
        )
    return f"CREATE OR REPLACE VIEW fact_{name} AS SELECT {', '.join(columns)} FROM staged_{name}"


def _typed(name: str, unit: str | None) -> str:
    """A figure as its unit is written: money to the cent, other fractions to six decimals."""
    if unit is not None and is_text(unit):
        return f'CAST(own."{name}" AS VARCHAR) AS "{name}"'
    if unit == "count":
        return f'CAST(own."{name}" AS BIGINT) AS "{name}"'
    decimals = 2 if unit == "CNY" else 6
    return f'CAST(round(own."{name}", {decimals}) AS DECIMAL(18, {decimals})) AS "{name}"'


def _table(view: OwnView, rows: Path) -> OwnTable:
    """What the manifest says of a view: the most rows that one institution has in a month, too."""
    most = last = 0
    before: tuple[object, ...] = ()
    for row in _read(rows, ["institution", "period"]):
        here = (row["institution"], row["period"])
        last = last + 1 if here == before else 1
        most, before = max(most, last), here
    shown = tuple(Shown(name=m.name, unit=m.unit, zero=None) for m in view.measures)
    return OwnTable(name=view_name(view), dims=view.dims, measures=shown, most=most)


def _lines(
    view: OwnView, rows: Path, profile: Mapping[str, Any], table: OwnTable
) -> Iterator[Line]:
    """The rows of a view as one profile shows them."""
    told = _benchmarks(view, rows, profile)
    number, before = 0, None
    for row in _read(rows):
        key = tuple(row[name] for name in ("institution", "period", "geo", *view.dims))
        if key == before:
            raise ReleaseError(
                "own_rows",
                f"{view_name(view)}: the rows of own data are not told apart by "
                f"{', '.join(('institution', 'month', *view.dims))}.",
                f"{view_name(view)}：本机构数据的行无法按所列维度区分。",
            )
        number, before = number + 1, key
        yield _line(view, row, number, told)


def _line(view: OwnView, row: Row, number: int, told: Mapping[tuple[Any, ...], Any]) -> Line:
    compared = {} if view.peers is None else _compared(view.peers, row, _cell(view, row), told)
    marks, values = [], []
    for measure in view.measures:
        if measure.name in compared:
            value = compared[measure.name]
            marks.append("s" if value is None else "r")
        else:
            value = row[measure.name]
            marks.append("o")
        values.append(_written(value, measure.unit))
    dims = [row[dim] for dim in view.dims]
    return (row["institution"], row["period"], row["geo"], number, *dims, "".join(marks), *values)


def _compared(
    peers: Peers, row: Row, cell: tuple[Any, ...], told: Mapping[tuple[Any, ...], Any]
) -> dict[str, Decimal | str | None]:
    """What an institution is told of its peers in a cell that it is a member of, by name."""
    quantiles: dict[str, Decimal | None] = {
        name: None if row[one.of] is None else told.get((name, *cell))
        for name, one in peers.quantiles.items()
    }
    bands = {}
    for name, place in peers.bands.items():
        ranked = {
            one.p: figure
            for quantile, one in peers.quantiles.items()
            if one.of == place.of and (figure := quantiles[quantile]) is not None
        }
        bands[name] = band(Decimal(row[place.of]), ranked) if ranked else None
    return {**quantiles, **bands}


def _cell(view: OwnView, row: Row) -> tuple[Any, ...]:
    return (row["period"], row["geo"], *(row[dim] for dim in view.dims))


def _benchmarks(
    view: OwnView, rows: Path, profile: Mapping[str, Any]
) -> dict[tuple[Any, ...], Decimal]:
    """Each quantile of each cell that may be told, by its name and cell."""
    peers, guard = view.peers, Guard.of(profile)
    if peers is None or guard is None:
        return {}
    wanted = {q.of for q in peers.quantiles.values()} | {peers.persons, peers.magnitude}
    every = sorted(
        _read(rows, ["period", "geo", *view.dims, *sorted(wanted)]),
        key=lambda row: _cell(view, row),
    )
    found = {}
    for cell, group in groupby(every, key=lambda row: _cell(view, row)):
        members = list(group)
        for name, one in peers.quantiles.items():
            own = [
                Member(Decimal(row[one.of]), int(row[peers.persons]), Decimal(row[peers.magnitude]))
                for row in members
                if row[one.of] is not None
            ]
            value = benchmark(own, one.p, guard)
            if value is not None:
                found[name, *cell] = value
    return found


def _read(rows: Path, columns: list[str] | None = None) -> Iterator[Row]:
    with pq.ParquetFile(rows) as file:
        for batch in file.iter_batches(columns=columns):
            yield from batch.to_pylist()


def _written(value: object, unit: str) -> str | int | float | None:
    """A figure as it is answered: money as text with two decimals, the rest as numbers."""
    if value is None or isinstance(value, str):
        return value
    if unit == "CNY":
        return str(Decimal(str(value)).quantize(_CENT))
    return int(str(value)) if unit == "count" else float(str(value))


def _bare(sql: str) -> str:
    return sql.strip().rstrip(";")


def _text(text: str) -> str:
    return text.replace("'", "''")
