"""Everything a cell file publishes, decoded: for proofs and exports, not for answering requests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.releases.manifest import Manifest
from gateway.releases.store import cell_file


@dataclass(frozen=True)
class Listed:
    """One cell as published: where it lies, its dim values, and each measure's figure and mark."""

    grain: str
    period: str
    geo: str
    values: tuple[tuple[str, str], ...]  # column and value, contract order
    figures: tuple[str | int | float | None, ...]
    marks: str

    @property
    def shown(self) -> bool:
        """Whether anything of the cell is published."""
        return bool(set(self.marks) & {"o", "r", "e", "v"})


def listing(folder: Path, manifest: Manifest, profile_key: str) -> Iterator[Listed]:
    """The rows of a cell file in their order; complementarily hidden ones included."""
    path = folder / cell_file(profile_key)
    con = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    names = ", ".join(f'"{measure.name}"' for measure in manifest.measures)
    spans, places = manifest.blocks, manifest.geo
    try:
        for block, cell, marks, *figures in con.execute(
            f"SELECT block, cell, marks, {names} FROM cells ORDER BY block, cell"
        ):
            number, place = divmod(block, len(places))
            shape, span = divmod(number, len(spans))
            values = _values(manifest, manifest.shapes[shape], cell)
            grain, period = spans[span]
            yield Listed(grain, period, places[place], values, tuple(figures), marks)
    finally:
        con.close()


def _values(manifest: Manifest, columns: tuple[str, ...], cell: int) -> tuple[tuple[str, str], ...]:
    found = []
    for column in reversed(columns):
        listed = manifest.levels[column].values
        cell, digit = divmod(cell, len(listed))
        found.append((column, listed[digit]))
    return tuple(reversed(found))
