"""Read published releases: a page of cells by look-up, in one canonical order.

A query ranges over the full product of closed lists; a cell that is not in the file is suppressed.
So the answer has the same rows whether or not anybody is in them.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from gateway.errors import Unavailable
from gateway.releases.lineage.reading import read_lineage
from gateway.releases.manifest import FILE, Manifest
from gateway.releases.own.table import OwnPage, OwnSelection, own_file, read_own
from gateway.releases.ranges import Query, Range, ranges

CURRENT = "CURRENT.json"
WITHDRAWN = "WITHDRAWN.json"
_RELEASE = re.compile(r"S\d\d-[0-9a-f]{16}")
_FLAGS = {"o": "ok", "r": "r", "e": "e", "v": "v", "s": "s", "c": "s", "-": "s"}
"""One flag for all that is hidden. Told that a cell is hidden for another's sake, a reader would
know that it holds k persons or more, and the protection bounds hidden cells for no such reader."""
_SPARSE = 8  # from here on single look-ups beat reading the stretch between them

Value: TypeAlias = str | int | float | None


@dataclass(frozen=True)
class Selection:
    """The cells a query asks for; `dims` in any order."""

    service: str
    release_id: str
    profile_key: str
    grain: str
    periods: tuple[str, ...]
    geo: tuple[str, ...]
    dims: tuple[str, ...]
    where: Mapping[str, str]
    measures: tuple[str, ...]
    levels: Mapping[str, int]


@dataclass(frozen=True)
class Page:
    """Some rows of an answer, by column. `total` counts all rows of the answer; `addresses` are
    the rows' blocks, each with the cell numbers inside it."""

    total: int
    keys: dict[str, list[str]]
    values: dict[str, list[Value]]
    flags: dict[str, list[str]]
    addresses: list[tuple[int, Sequence[int]]] = field(default_factory=list)


class ReleaseStore:
    """The releases below one folder. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._manifests: dict[str, Manifest] = {}
        self._current: dict[str, str] = {}
        self._withdrawn: dict[str, dict[str, str]] = {}
        self._local = threading.local()
        self._ranges = lru_cache(maxsize=64)(self._resolve)
        self.refresh()

    def refresh(self) -> None:
        """Take up what was published since."""
        self._current = current(self._root)
        self._withdrawn = withdrawn(self._root)

    @property
    def shelved(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """The release in force of each service, and those withdrawn with time and reason."""
        return self._current, self._withdrawn

    def in_force(self, service_id: str) -> bool:
        """Whether a release of the service is in force, be it readable or not."""
        return service_id in self._current

    def latest(self, service_id: str) -> Manifest | None:
        """The release in force of a service."""
        release_id = self._current.get(service_id)
        return None if release_id is None else self.find(release_id)

    def find(self, release_id: str) -> Manifest | None:
        """A release by its id, in force or kept; None if there is none or it was withdrawn."""
        if release_id in self._withdrawn:
            return None
        if release_id not in self._manifests:
            if not _RELEASE.fullmatch(release_id):
                return None
            found = read_manifest(self._root / release_id[:3] / release_id)
            if found is None:
                return None
            self._manifests[release_id] = found
        return self._manifests[release_id]

    def lineage(self, service_id: str) -> dict[str, Any] | None:  # an OpenLineage event
        """Where the columns of the release in force come from, if there is one that says so."""
        manifest = self.latest(service_id)
        if manifest is None:
            return None
        return read_lineage(self._root / service_id / manifest.release_id, manifest.created)

    def page(self, selection: Selection, offset: int, limit: int) -> Page:
        """Rows `offset` to `offset + limit` of the answer."""
        asked = self._ranges(selection.release_id, _query(selection))
        page = Page(
            asked.total,
            {name: [] for name in ("period", "geo", *asked.names)},
            {name: [] for name in selection.measures},
            {name: [] for name in selection.measures},
        )
        file = cell_file(selection.profile_key)
        con = self._connection(selection.release_id, selection.profile_key, file)
        zeros = [asked.zeros_of[name] for name in selection.measures]
        for part in asked.parts(offset, limit):
            rows = _look_up(con, part.block, asked.codes, part.rows, selection.measures)
            _append_keys(page, asked, part.period, part.geo, part.rows)
            _append_cells(page, asked, part.rows, rows, zeros)
            page.addresses.append((part.block, asked.codes[part.rows]))
        return page

    def own(self, selection: OwnSelection, offset: int, limit: int) -> OwnPage:
        """Rows `offset` to `offset + limit` of one institution's own."""
        file = own_file(selection.profile_key)
        con = self._connection(selection.release_id, selection.profile_key, file)
        return read_own(con, selection, offset, limit)

    def _resolve(self, release_id: str, query: Query) -> Range:
        manifest = self.find(release_id)
        if manifest is None:
            raise Unavailable("release_unavailable", "The release is not on this server.")
        return ranges(manifest, query)

    def _connection(self, release_id: str, profile_key: str, file: str) -> sqlite3.Connection:
        held: dict[tuple[str, str], sqlite3.Connection] = self._local.__dict__.setdefault(
            "held", {}
        )
        if (release_id, file) not in held:
            manifest = self.find(release_id)
            if manifest is None or profile_key not in manifest.profiles:
                raise Unavailable("release_unavailable", "The release lacks this profile.")
            path = self._root / release_id[:3] / release_id / file
            held[release_id, file] = sqlite3.connect(
                f"{path.resolve().as_uri()}?immutable=1", uri=True
            )
        return held[release_id, file]


def _query(selection: Selection) -> Query:
    return Query(
        selection.grain,
        tuple(sorted(selection.periods)),
        tuple(sorted(selection.geo)),
        tuple(sorted(selection.dims)),
        tuple(sorted(selection.where.items())),
        tuple(sorted(selection.levels.items())),
    )


def cell_file(profile_key: str) -> str:
    """Name of the cell file of a profile."""
    return f"cells-{profile_key}.sqlite"


def current(root: Path) -> dict[str, str]:
    """The release in force of each service."""
    try:
        found = json.loads((root / CURRENT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {str(service): str(release) for service, release in found.items()}


def withdrawn(root: Path) -> dict[str, dict[str, str]]:
    """Releases that were taken out of service, with time and reason."""
    try:
        found: dict[str, dict[str, str]] = json.loads(
            (root / WITHDRAWN).read_text(encoding="utf-8")
        )
    except FileNotFoundError:
        return {}
    return found


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a release folder, if it is one."""
    try:
        return Manifest.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def _look_up(
    con: sqlite3.Connection,
    block: int,
    codes: Sequence[int],
    rows: slice,
    measures: tuple[str, ...],
) -> list[tuple[Any, ...]]:  # as SQLite gives them: cell, marks, then the measures
    wanted = codes[rows]
    select = _select(measures)
    if wanted[-1] - wanted[0] < _SPARSE * len(wanted):
        ends = (block, wanted[0], wanted[-1])
        return con.execute(f"{select} AND cell BETWEEN ? AND ?", ends).fetchall()
    some = json.dumps(list(wanted))
    return con.execute(
        f"{select} AND cell IN (SELECT value FROM json_each(?)) ORDER BY cell", (block, some)
    ).fetchall()


@lru_cache(maxsize=512)
def _select(measures: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in measures)
    return f"SELECT cell, marks, {names} FROM cells WHERE block = ?"


def _append_keys(page: Page, asked: Range, period: str, geo: str, rows: slice) -> None:
    count = rows.stop - rows.start
    page.keys["period"] += [period] * count
    page.keys["geo"] += [geo] * count
    for name, values in asked.labels.items():
        page.keys[name] += values[rows]


def _append_cells(
    page: Page,
    asked: Range,
    rows: slice,
    found: Sequence[tuple[Any, ...]],
    zeros: Sequence[Value],
) -> None:
    """Figures and flags of the rows: from the file, else structural zero or suppressed."""
    place = {code: i for i, code in enumerate(asked.codes[rows])}
    held = [(place[row[0]], row) for row in found if row[0] in place]
    impossible = [i for i, zero in enumerate(asked.impossible[rows]) if zero]
    for at, (name, letter) in enumerate(zip(page.values, asked.letters(page.values), strict=True)):
        values: list[Value] = [None] * len(place)
        flags = ["s"] * len(place)
        for i in impossible:
            values[i], flags[i] = zeros[at], "z"
        for i, row in held:
            values[i], flags[i] = row[2 + at], _FLAGS[row[1][letter]]
        page.values[name] += values
        page.flags[name] += flags
