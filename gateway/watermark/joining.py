"""Which cells of a release the rows of a leaked file are, whatever its columns are called now.

A column is a period, a place or a dim if its values are; where several fit, the name decides, and
else which of the ways makes the amounts those of the release. A period or place that was left out
is tried with each of its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

import numpy as np

from gateway.releases.manifest import Manifest
from gateway.watermark.code import Bools, Ints
from gateway.watermark.leaked import Leaked

PERIOD: Final = "period"
GEO: Final = "geo"
_MOST_WAYS: Final = 3000
_ENOUGH: Final = 0.75  # of a column's values must be of the list
_LOOKED_AT: Final = 2000
_FILLING: Final = re.compile(r"[\s\-_/.年月季度]+")


@dataclass(frozen=True)
class Way:
    """A way to read the file: the role of each column, and what is taken for roles left out."""

    roles: Mapping[str, str]  # of a column: `period`, `geo`, or a column of the lattice
    fixed: Mapping[str, str]  # of a role that no column has

    def __str__(self) -> str:
        told = [f"{column} = {role}" for column, role in self.roles.items()]
        return ", ".join([*told, *(f"{role} {value}" for role, value in self.fixed.items())])


@dataclass(frozen=True)
class Joined:
    """Block and cell of each row; `known` where the row names one."""

    block: Ints
    cell: Ints
    known: Bools


class Joiner:
    """Joins one file with one release."""

    def __init__(self, leaked: Leaked, manifest: Manifest) -> None:
        self.leaked, self.manifest = leaked, manifest
        self.lists = {PERIOD: _periods(manifest), GEO: _placed(manifest.geo)}
        self.lists |= {name: _placed(level.values) for name, level in manifest.levels.items()}
        self.plain = {name: [plain(v) for v in column] for name, column in leaked.columns.items()}

    def ways(self) -> Iterator[Way]:
        """Every way the columns may be meant, those that follow the names first."""
        yield from islice(self._ways(), _MOST_WAYS)

    def _ways(self) -> Iterator[Way]:
        fitting = {name: self._roles(name) for name in self.leaked.columns}
        columns = [name for name, roles in fitting.items() if roles]
        for chosen in product(*(fitting[name] for name in columns)):
            roles = {c: role for c, role in zip(columns, chosen, strict=True) if role}
            if len(set(roles.values())) < len(roles):
                continue
            if self._shape(roles) is None:
                continue
            missing = [role for role in (PERIOD, GEO) if role not in roles.values()]
            for values in product(*(self.lists[role] for role in missing)):
                yield Way(roles, dict(zip(missing, values, strict=True)))

    def _roles(self, name: str) -> list[str]:
        """What a column may be, its own name first; "" (a figure) last, where that may be."""
        held = [value for value in self.plain[name][:_LOOKED_AT] if value]
        if not held:
            return []
        seen = set(held)
        fits = [
            role
            for role, values in self.lists.items()
            if sum(value in values for value in seen) >= _ENOUGH * len(seen)
        ]
        wanted = plain(name)
        named = [role for role in fits if plain(self._dim(role)) == wanted or plain(role) == wanted]
        if named:
            return named
        return [*fits, ""] if fits else []

    def _dim(self, role: str) -> str:
        return self.manifest.levels[role].dim if role in self.manifest.levels else role

    def _shape(self, roles: Mapping[str, str]) -> int | None:
        columns = self._finest(roles)
        return self.manifest.shapes.index(columns) if columns in self.manifest.shapes else None

    def _finest(self, roles: Mapping[str, str]) -> tuple[str, ...]:
        """The columns that decide the cell, in the order of the release."""
        named = [name for name in self.manifest.levels if name in roles.values()]
        above = {up for name in named for up in self._above(name)}
        return tuple(name for name in named if name not in above)

    def _above(self, name: str) -> Iterator[str]:
        up = self.manifest.levels[name].coarser
        while up is not None:
            yield up
            up = self.manifest.levels[up].coarser

    def joined(self, way: Way, rows: Sequence[int] | None = None) -> Joined:
        """The cells of all rows, or of some."""
        shape = self._shape(way.roles)
        assert shape is not None, "a way has a shape"  # noqa: S101 - `ways` makes no other
        period, geo = self._places(way, PERIOD, rows), self._places(way, GEO, rows)
        known = (period >= 0) & (geo >= 0)
        cell = np.zeros(len(period), np.int64)
        for column in self.manifest.shapes[shape]:
            place = self._places(way, column, rows)
            known &= place >= 0
            cell = cell * len(self.manifest.levels[column].values) + place
        block = (shape * len(self.manifest.blocks) + period) * len(self.manifest.geo) + geo
        return Joined(np.where(known, block, -1), np.where(known, cell, -1), known)

    def _places(self, way: Way, role: str, rows: Sequence[int] | None) -> Ints:
        values = self.lists[role]
        count = self.leaked.rows if rows is None else len(rows)
        if role in way.fixed:
            return np.full(count, values[way.fixed[role]], np.int64)
        column = next(self.plain[name] for name, held in way.roles.items() if held == role)
        chosen = column if rows is None else [column[i] for i in rows]
        return np.fromiter((values.get(value, -1) for value in chosen), np.int64, count)


def plain(text: str) -> str:
    """A value as it survives being saved: no case, filling, leading zeros or `.0`."""
    short = text.strip().casefold().removesuffix(".0")
    return _FILLING.sub("", short).lstrip("0") or ("0" if short else "")


def _placed(values: Sequence[str]) -> dict[str, int]:
    found = {plain(value): i for i, value in enumerate(values)}
    return found if len(found) == len(values) else {value: i for i, value in enumerate(values)}


def _periods(manifest: Manifest) -> dict[str, int]:
    return {plain(label): i for i, (_, label) in enumerate(manifest.blocks)}
