"""The cell file of one profile: an SQLite table laid out for look-up, protected figures only.

A row is a cell: `block` numbers shape × period × place, `cell` the combination of dim values inside
it, both in canonical order. `marks` has one letter per measure (o ok, r rounded, s suppressed,
c complementary, - not answered here); a cell without a row is suppressed. Nothing unrounded, no
count of a suppressed cell and nothing about empty cells is ever written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gateway.catalogue.model import Measure
from gateway.releases.kernel import Ints, mixed, unmixed
from gateway.releases.plan import Plan
from gateway.releases.sheet import Sheet
from gateway.releases.shown import ABSENT, Figure, Shown

_PAGE_BYTES = 4096
_CHUNK = 20_000
Row = tuple[object, ...]


def places_of(plan: Plan) -> tuple[str, ...]:
    """All places of a release: cities, then counties where these are released."""
    levels = {level.level for level in plan.service.geo}
    cities = plan.cities if "city" in levels else ()
    return (*cities, *(plan.counties if "county" in levels else ()))


def answered(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """The shapes a query can name, in canonical order."""
    return tuple(shape.columns for shape in plan.shapes if shape.pivot is None)


def write_cells(path: Path, sheet: Sheet) -> int:
    """Write the file; how many cells it holds. The same input gives the same bytes."""
    places = [i for i, measure in enumerate(sheet.measures) if not measure.internal]
    con = sqlite3.connect(path, isolation_level=None)
    try:
        con.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        con.execute("PRAGMA journal_mode = OFF")
        con.execute("PRAGMA synchronous = OFF")
        names = ", ".join(f'"{sheet.measures[i].name}"' for i in places)
        con.execute(
            f"CREATE TABLE cells (block INTEGER, cell INTEGER, marks TEXT, {names}, "
            "PRIMARY KEY (block, cell)) WITHOUT ROWID"
        )
        hole = ", ".join("?" * (3 + len(places)))
        con.execute("BEGIN")
        for chunk in _chunks(sheet, places):
            con.executemany(f"INSERT INTO cells VALUES ({hole})", chunk)
        con.execute("COMMIT")
    finally:
        con.close()
    return len(sheet)


def _chunks(sheet: Sheet, places: list[int]) -> Iterator[Iterator[Row]]:
    letters = np.where(sheet.marks[places] == ABSENT, ord("-"), sheet.marks[places])
    kind = np.dtype(f"S{len(places)}")
    cuts = np.searchsorted(sheet.open, np.arange(0, len(sheet) + _CHUNK, _CHUNK))
    for first, low, high in zip(range(0, len(sheet), _CHUNK), cuts, cuts[1:], strict=False):
        part = slice(first, first + _CHUNK)
        block, cell = sheet.block[part], sheet.cell[part]
        own = sheet.open[low:high] - first
        marks = np.ascontiguousarray(letters[:, part].T.astype(np.uint8)).view(kind)[:, 0]
        columns = [_column(sheet, i, slice(int(low), int(high)), own, len(block)) for i in places]
        yield zip(block.tolist(), cell.tolist(), marks.astype(str).tolist(), *columns, strict=True)


def _column(sheet: Sheet, at: int, part: slice, own: Ints, length: int) -> list[object]:
    figure = Figure(
        sheet.values[at][part],
        sheet.marks[at][sheet.open[part]],
        sheet.scales[at],
        sheet.labels[at],
    )
    found = np.full(length, None, object)
    found[own] = rendered(sheet.measures[at], figure)
    values: list[object] = found.tolist()
    return values


def addresses(shown: Shown) -> tuple[Ints, Ints]:
    """Block and cell number of each shown cell; block -1 where no query can ask for it."""
    plan = shown.table.plan
    shapes = {columns: i for i, columns in enumerate(answered(plan))}
    places, numbers = places_of(plan), np.array(plan.numbers, np.int64)
    block_of = np.full(len(shown), -1, np.int64)
    cell_of = np.zeros(len(shown), np.int64)
    for block, part, own in shown.by_block:
        columns = plan.shapes[block.shape].columns
        if columns not in shapes:
            continue
        city = plan.service.geo[block.level].level == "city"
        before = 0 if city else len(places) - len(plan.counties)
        number = shapes[columns] * len(plan.calendar) + numbers[block.period[own]]
        block_of[part] = number * len(places) + before + block.geo[own]
        digits = unmixed(block.code[own], plan.sizes(columns))[1:]
        sizes = [len(plan.domains[c].values) for c in columns]
        cell_of[part] = mixed(digits, sizes, len(own))
        strange = np.zeros(len(own), np.bool_)
        for digit, size in zip(digits, sizes, strict=True):
            strange |= digit >= size
        block_of[part] = np.where(strange, -1, block_of[part])
    return block_of, cell_of


def rendered(measure: Measure, figure: Figure) -> list[object]:
    """Values as they are answered: money as text with two decimals, the rest as numbers."""
    numbers, shown = figure.values.tolist(), figure.open.tolist()
    if figure.labels:
        return [figure.labels[n] if o else None for n, o in zip(numbers, shown, strict=True)]
    write = _money if measure.unit == "CNY" else _plain
    return [write(n, figure.scale) if o else None for n, o in zip(numbers, shown, strict=True)]


def _money(number: int, scale: int) -> str:
    """Yuan with two decimals, exact."""
    fen = number * 100 // 10**scale if scale <= 2 else round(number / 10 ** (scale - 2))
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _plain(number: int, scale: int) -> int | float:
    value = number / 10**scale
    return int(value) if scale == 0 else value
