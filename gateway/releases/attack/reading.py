"""What a release publishes, as arrays: cells, marks, and each figure as the interval it stands for.

Rounding rules are public: a count rounded to multiples of b may have been up to b − 1 away, an
amount of n significant digits half a unit of its last one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.catalogue.model import Grain, Measure
from gateway.releases.attack.space import Bools, Floats, Ints, Space, season_of
from gateway.releases.manifest import Manifest
from gateway.releases.store import cell_file

_SHOWN = (b"r", b"o", b"e")
_FIGURES = frozenset("roe")
_CARRIED = "v"  # figures of an earlier release; nothing is told of the cell as it is now


def _tested(letters: str) -> bool:
    """Whether a row says that its cell passed its tests."""
    return _CARRIED not in letters and not _FIGURES.isdisjoint(letters)


@dataclass(frozen=True)
class Sheet:
    """The rows of one profile of a release: `value` is NaN where no figure is published."""

    release: str
    profile: str
    block: Ints
    cell: Ints
    marks: Mapping[str, np.ndarray]  # one letter (S1) a row
    open: Bools  # whether any measure is published
    value: Mapping[str, Floats]


@dataclass(frozen=True)
class Told:
    """What is told of one measure in one season by one profile of one release.

    `value` is NaN where the figure is hidden though the cell has a row (it passed every test of its
    own, and is hidden for another's sake); cells in no row are hidden for their own. Readers see
    one mark for both, so they know of the former only where another measure is `beside`.
    """

    release: str
    keys: Ints
    value: Floats
    low: Floats
    high: Floats
    base: int  # what counts are multiples of; for amounts, less nought, the digits that count
    beside: Bools  # whether any measure of the cell is published


def read_sheet(
    folder: Path,
    manifest: Manifest,
    profile: str,
    measures: tuple[str, ...],
    spans: Collection[int],
) -> Sheet:
    """Read the rows of one cell file that are about some of its periods."""
    names = [shown.name for shown in manifest.measures]
    own = [name for name in measures if name in names]
    columns = "".join(f', "{name}", substr(marks, {names.index(name) + 1}, 1)' for name in own)
    path = folder / cell_file(profile)
    con = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        about = f"block / {max(1, len(manifest.geo))} % {max(1, len(manifest.blocks))}"
        inside = f"{about} IN ({', '.join(map(str, spans))})"
        rows = con.execute(
            f"SELECT block, cell, marks{columns} FROM cells WHERE {inside}"
        ).fetchall()
    finally:
        con.close()
    held = list(zip(*rows, strict=True)) if rows else [()] * (3 + 2 * len(own))
    return Sheet(
        manifest.release_id,
        profile,
        np.array(held[0], np.int64),
        np.array(held[1], np.int64),
        {name: np.array(held[4 + 2 * i], "S1") for i, name in enumerate(own)},
        np.array([_tested(letters) for letters in held[2]], np.bool_),
        {
            name: np.array([np.nan if v is None else float(v) for v in held[3 + 2 * i]])
            for i, name in enumerate(own)
        },
    )


def spans_in(manifest: Manifest, season: str, longest: Grain) -> list[int]:
    """Which periods of a release lie in a season."""
    labels = enumerate(manifest.blocks)
    return [at for at, (g, label) in labels if season_of(g, label, longest) == season]


def told(sheet: Sheet, manifest: Manifest, space: Space, measure: Measure, longest: Grain) -> Told:
    """The part of a sheet that lies in a space's season, for one measure."""
    inside, keys = _keys(sheet, manifest, space, longest)
    marks, value = sheet.marks[measure.name][inside], sheet.value[measure.name][inside]
    answered = marks != b"-"
    keys, marks, value = keys[answered], marks[answered], value[answered].copy()
    beside = sheet.open[inside][answered]
    shown = np.isin(marks, _SHOWN)
    value[~shown] = np.nan
    rules = manifest.profiles[sheet.profile]
    low, high, base = _interval(measure, value, marks == b"o", rules)
    return Told(sheet.release, keys, value, low, high, base, beside)


def _interval(
    measure: Measure, value: Floats, exact: Bools, rules: Mapping[str, object]
) -> tuple[Floats, Floats, int]:
    counted = measure.define.kind == "persons" or getattr(measure.define, "style", "") == "count"
    if counted:
        base = int(str(rules["count_round"]))
        spread = np.where(exact, 0, base - 1)
        least = int(str(rules["k_person"])) if measure.define.kind == "persons" else 0
        return np.maximum(value - spread, least), value + spread, base
    digits = int(str(rules["amount_sig_digits"]))
    smallest = 0.01 if measure.unit == "CNY" else 1e-6
    size = np.floor(np.log10(np.maximum(np.abs(np.nan_to_num(value)), smallest)) + 1e-12) + 1
    unit = np.maximum(10.0 ** (size - digits), smallest)
    spread = np.where(exact, 0, unit / 2)
    return value - spread, value + spread, -digits


def _keys(sheet: Sheet, manifest: Manifest, space: Space, longest: Grain) -> tuple[Bools, Ints]:
    """Which rows lie in the season, and the cells these are."""
    period, geo = _places(space, manifest, longest)
    number, place = np.divmod(sheet.block, max(1, len(manifest.geo)))
    shape, span = np.divmod(number, max(1, len(manifest.blocks)))
    inside = period[span] >= 0
    keys = period[span] * space.strides[0] + geo[place] * space.strides[1]
    for at, columns in enumerate(manifest.shapes):
        rows = np.flatnonzero(inside & (shape == at))
        rest = sheet.cell[rows]
        for column in reversed(columns):
            values = manifest.levels[column].values
            rest, digit = np.divmod(rest, len(values))
            axis = next(i for i, one in enumerate(space.axes) if column in one.columns)
            codes = np.array([space.axes[axis].code[f"{column}={v}"] for v in values], np.int64)
            keys[rows] += codes[digit] * space.strides[axis]
    return inside, keys[inside]


def _places(space: Space, manifest: Manifest, longest: Grain) -> tuple[Ints, Ints]:
    period = [
        space.axes[0].code[label] if season_of(grain, label, longest) == space.season else -1
        for grain, label in manifest.blocks
    ]
    geo = [space.axes[1].code[place] for place in manifest.geo]
    return np.array(period, np.int64), np.array(geo, np.int64)
