"""Whose copy of a release a file is: join its rows, read the bits, ask of every tenant."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gateway.catalogue.model import Service
from gateway.errors import OperatorError
from gateway.releases.manifest import Manifest
from gateway.releases.store import cell_file, read_manifest
from gateway.watermark.accusing import Readings, Verdict, verdicts
from gateway.watermark.channel import Read, read, unit_of
from gateway.watermark.code import Bools, Floats, Ints, Places, bits, carriers, drawn
from gateway.watermark.following import in_fen
from gateway.watermark.joining import Joined, Joiner, Way
from gateway.watermark.keys import MarkKey, key_for
from gateway.watermark.leaked import Leaked
from gateway.watermark.marking import DIGITS, secrets_of
from gateway.watermark.measures import plan_of, total_shapes

_SAMPLE: Final = 300
_FITS: Final = 0.6  # of a column's values must be near a measure's
_TIED: Final = 0.98
_MOST_TIED: Final = 4
_NUMBER: Final = re.compile(r"[^0-9.eE+-]")


@dataclass(frozen=True)
class Copy:
    """One release under one profile, of which a file may be a copy."""

    service: Service
    manifest: Manifest
    profile_key: str
    path: Path

    @property
    def digits(self) -> int:
        return int(self.manifest.profiles[self.profile_key].get(DIGITS, 0))


@dataclass(frozen=True)
class Taken:
    """How one column of the file was taken."""

    column: str
    measure: str
    unit: str
    rounding: str
    values: int
    readings: int


@dataclass(frozen=True)
class Trace:
    """What was found of a file beside one release."""

    release: str
    profile: str
    key_id: str
    way: str
    rows: int
    joined: int
    columns: Sequence[Taken]
    readings: int
    tenants: int
    verdicts: Sequence[Verdict]

    @property
    def named(self) -> list[Verdict]:
        """The tenants whose copy it is, beyond doubt."""
        return [one for one in self.verdicts if one.named]


@dataclass(frozen=True)
class _Fit:
    """A copy, how the file's rows are its cells, and how many values are near its figures."""

    copy: Copy
    joiner: Joiner
    way: Way
    measures: Mapping[str, tuple[str, str]]  # of a column: measure and unit
    near: float


def copies(root: Path, services: Mapping[str, Service], release: str = "") -> list[Copy]:
    """Every release that may have been leaked, in force or not, or the one that is named."""
    found = []
    for folder in sorted(root.glob("S[0-9][0-9]/S[0-9][0-9]-*")):
        manifest = read_manifest(folder) if release in ("", folder.name) else None
        service = services.get(folder.parent.name)
        if manifest is None or service is None:
            continue
        found += [
            Copy(service, manifest, key, folder / cell_file(key))
            for key in manifest.profiles
            if (folder / cell_file(key)).is_file()
        ]
    return [copy for copy in found if copy.digits and plan_of(copy.service, copy.manifest).marked]


def trace(
    leaked: Leaked, candidates: Sequence[Copy], keys: tuple[MarkKey, ...], tenants: Sequence[str]
) -> list[Trace]:
    """What the file says beside each release it may be of, the best first.

    Which releases these are is settled by figures that are the same for all tenants.
    """
    fits = [fit for copy in candidates if (fit := _fitted(leaked, copy)) is not None]
    if not fits:
        raise OperatorError(
            "watermark.not_joined",
            "No column of the file could be joined with a release: it needs the dims' values and"
            " at least one amount; name the release with --release to have its figures tried.",
        )
    fits.sort(key=lambda fit: -fit.near)
    tied = [fit for fit in fits if fit.near >= _TIED * fits[0].near][:_MOST_TIED]
    found = [_traced(fit, keys, tenants, len(tied)) for fit in tied]
    return sorted(found, key=lambda one: min([v.false_at_most for v in one.verdicts], default=1.0))


def numbers(column: Sequence[str]) -> Floats:
    """A column's numbers; NaN where there is none."""
    return np.array([_number(text) for text in column], np.float64)


def _number(text: str) -> float:
    if not any(c.isdigit() for c in text):
        return float("nan")
    factor = 1e8 if "亿" in text else 1e4 if "万" in text else 1.0
    try:
        return float(_NUMBER.sub("", text)) * factor
    except ValueError:
        return float("nan")


def _fitted(leaked: Leaked, copy: Copy) -> _Fit | None:
    """The way to read the file in which most of its values are figures of this release."""
    joiner = Joiner(leaked, copy.manifest)
    names = list(plan_of(copy.service, copy.manifest).marked)
    rows = np.unique(np.linspace(0, leaked.rows - 1, _SAMPLE).astype(np.int64)).tolist()
    best: _Fit | None = None
    with closing(_Cells(copy, names)) as cells:
        for way in joiner.ways():
            joined = joiner.joined(way, rows)
            if not joined.known.any():
                continue
            figures = cells.at(joined)
            fitting, near = {}, 0.0
            for column in leaked.columns.keys() - way.roles.keys():
                values = numbers([leaked.columns[column][i] for i in rows])
                found = {name: unit_of(values, figures[name]) for name in names}
                name = max(found, key=lambda one: found[one][1])
                unit, share = found[name]
                if share >= _FITS:
                    fitting[column] = name, unit
                    near += share * float(np.sum(~np.isnan(values) & (figures[name] != 0)))
            if fitting and (best is None or near > best.near):
                best = _Fit(copy, joiner, way, fitting, near)
    return best


class _Cells:
    """The unmarked figures of a release, shape by shape."""

    def __init__(self, copy: Copy, names: Sequence[str]) -> None:
        self._db = sqlite3.connect(f"{copy.path.resolve().as_uri()}?immutable=1", uri=True)
        self._names = list(names)
        self._width = len(copy.manifest.blocks) * len(copy.manifest.geo)
        self._held: dict[int, tuple[Ints, Ints, dict[str, Ints]]] = {}

    def close(self) -> None:
        self._db.close()

    def at(self, joined: Joined) -> dict[str, Ints]:
        """Each measure's fen at these cells; 0 where nothing is published."""
        shape = int(joined.block[joined.known][0]) // self._width
        blocks, cells, figures = self._shape(shape)
        key = blocks * (1 << 40) + cells
        wanted = joined.block * (1 << 40) + joined.cell
        place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        there = joined.known & (len(key) > 0)
        there &= (key[place] == wanted) if len(key) else False
        return {
            name: np.where(there, figures[name][place], 0)
            if len(key)
            else np.zeros(len(wanted), np.int64)
            for name in self._names
        }

    def _shape(self, shape: int) -> tuple[Ints, Ints, dict[str, Ints]]:
        if shape not in self._held:
            columns = ", ".join(f'"{name}"' for name in self._names)
            rows = self._db.execute(
                f"SELECT block, cell, {columns} FROM cells WHERE block BETWEEN ? AND ?"
                " ORDER BY block, cell",
                (shape * self._width, (shape + 1) * self._width - 1),
            ).fetchall()
            turned = list(zip(*rows, strict=True)) or [()] * (2 + len(self._names))
            figures = {n: in_fen(turned[2 + i]) for i, n in enumerate(self._names)}
            self._held[shape] = (
                np.array(turned[0], np.int64), np.array(turned[1], np.int64), figures,
            )  # fmt: skip
        return self._held[shape]


def _traced(fit: _Fit, keys: tuple[MarkKey, ...], tenants: Sequence[str], tries: int) -> Trace:
    """Read the bits of all rows and compare them with every tenant's."""
    copy, joiner = fit.copy, fit.joiner
    manifest = copy.manifest
    key = key_for(keys, manifest.created)
    plan = plan_of(copy.service, manifest)
    joined = joiner.joined(fit.way)
    names = sorted({name for name, _ in fit.measures.values()})
    with closing(_Cells(copy, names)) as cells:
        figures = cells.at(joined)
    shape = joined.block // (len(manifest.blocks) * len(manifest.geo))
    free = joined.known & ~np.isin(shape, total_shapes(manifest))
    secret = secrets_of(key, manifest.release_id, "").places
    taken: list[Taken] = []
    found: list[_Part] = []
    for column, (name, unit) in fit.measures.items():
        places = Places(np.maximum(joined.block, 0), np.maximum(joined.cell, 0), plan.marked[name])
        carried = carriers(figures[name], copy.digits, drawn(secret, places))
        values = np.where(free, numbers(joiner.leaked.columns[column]), np.nan)
        got = read(values, unit, carried)
        held = got.held & _first(places, got)
        found.append(_Part(places, np.flatnonzero(held), got, carried.bias))
        there = int(np.sum(~np.isnan(values) & (figures[name] != 0)))
        taken.append(Taken(column, name, unit, str(got.rounding), there, int(held.sum())))
    parts = list(_once(found))
    readings = _together(parts)
    all_bits = _bits(parts, key, manifest.release_id, tenants)
    return Trace(
        manifest.release_id,
        copy.profile_key,
        key.id,
        str(fit.way),
        joiner.leaked.rows,
        int(joined.known.sum()),
        taken,
        len(readings),
        len(tenants),
        verdicts(readings, tenants, all_bits, tries),
    )


@dataclass(frozen=True)
class _Part:
    """The readings of one column: its carriers' places, and the rows that have a reading."""

    places: Places
    rows: Ints
    read: Read
    bias: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]


def _first(places: Places, got: Read) -> Bools:
    """The first of the rows with a reading that are the same cell."""
    rows = np.flatnonzero(got.held)
    _, first = np.unique(places.block[rows] * (1 << 40) + places.cell[rows], return_index=True)
    found = np.zeros(len(got.held), np.bool_)
    found[rows[first]] = True
    return found


def _once(parts: Sequence[_Part]) -> Iterator[_Part]:
    """Each measure once: a bit that is read twice must not count twice. The fuller column wins."""
    best: dict[int, _Part] = {}
    for part in sorted(parts, key=lambda one: -len(one.rows)):
        best.setdefault(part.places.measure, part)
    yield from (part for part in best.values() if len(part.rows))


def _together(parts: Sequence[_Part]) -> Readings:
    empty = np.zeros(0)
    return Readings(
        np.concatenate([empty, *(part.read.value[part.rows] for part in parts)]),
        np.concatenate([empty, *(part.bias[part.rows] for part in parts)]).astype(np.uint16),
        np.concatenate([empty, *(part.rows for part in parts)]).astype(np.int64),
    )


def _bits(parts: Sequence[_Part], key: MarkKey, release: str, tenants: Sequence[str]) -> Bools:
    """The bits of every tenant at the readings, a row each."""
    found = np.zeros((len(tenants), sum(len(part.rows) for part in parts)), np.bool_)
    for i, tenant in enumerate(tenants):
        own = secrets_of(key, release, tenant).tenant
        at = 0
        for part in parts:
            places = Places(
                part.places.block[part.rows], part.places.cell[part.rows], part.places.measure
            )
            found[i, at : at + len(part.rows)] = bits(own, places, part.bias[part.rows])
            at += len(part.rows)
    return found
