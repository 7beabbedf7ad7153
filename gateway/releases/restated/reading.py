"""Read the rows of an earlier release as the plan of a season numbers its cells."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gateway.releases.carried import OldRows
from gateway.releases.cellfile import answered, places_of
from gateway.releases.earlier import Earlier
from gateway.releases.kernel import Ints, mixed, unmixed
from gateway.releases.plan import Plan
from gateway.releases.store import cell_file


def old_rows(release: Earlier, profile: str, plan: Plan) -> OldRows | None:
    """The rows of an earlier release in the periods of a plan, as the plan numbers them; None
    where it has no such profile."""
    manifest = release.manifest
    if profile not in manifest.cells:
        return None
    names = {shown.name: at for at, shown in enumerate(manifest.measures)}
    columns = "".join(f', "{name}"' for name in names)
    path = release.folder / cell_file(profile)
    con = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        held = con.execute(f"SELECT block, cell, marks{columns} FROM cells").fetchall()
    finally:
        con.close()
    block, cell = (np.array([row[i] for row in held], np.int64) for i in (0, 1))
    block, cell = _renumbered(release, plan, block, cell)
    own = np.flatnonzero(block >= 0)
    kept = [held[at] for at in own.tolist()]
    return OldRows(block[own], cell[own], names, [r[2] for r in kept], [r[3:] for r in kept])


def _renumbered(release: Earlier, plan: Plan, block: Ints, cell: Ints) -> tuple[Ints, Ints]:
    """Block and cell as a plan numbers them; block -1 where it has no such cell."""
    manifest = release.manifest
    number, place = np.divmod(block, max(1, len(manifest.geo)))
    shape, span = np.divmod(number, max(1, len(manifest.blocks)))
    shapes, places = answered(plan), places_of(plan)
    told = [p if not _forecast(release, *p) else ("", "") for p in manifest.blocks]
    period = _onto([(str(p.grain), p.label) for p in plan.calendar], told)[span]
    geo = _onto(places, manifest.geo)[place]
    to = _onto(shapes, manifest.shapes)[shape]
    codes = np.zeros(block.size, np.int64)
    for at, columns in enumerate(manifest.shapes):
        rows = np.flatnonzero((shape == at) & (to >= 0))
        if not rows.size:
            continue
        old = [manifest.levels[c].values for c in columns]
        new = [plan.domains[c].values for c in columns]
        digits = unmixed(cell[rows], list(map(len, old)))[1:]
        own = [_onto(n, o)[d] for n, o, d in zip(new, old, digits, strict=True)]
        codes[rows] = mixed(own, list(map(len, new)), rows.size)
        for digit in own:
            to[rows[digit < 0]] = -1
    real = (to >= 0) & (period >= 0) & (geo >= 0)
    blocks = (to * len(plan.calendar) + period) * len(places) + geo
    return np.where(real, blocks, -1), codes


def _forecast(release: Earlier, grain: str, label: str) -> bool:
    return label in release.manifest.estimated.get(grain, ())


def _onto(new: Sequence[object], old: Sequence[object]) -> npt.NDArray[np.int64]:
    """Where each entry of a list stands in another; -1 where it does not."""
    place = {entry: at for at, entry in enumerate(new)}
    return np.array([*(place.get(entry, -1) for entry in old), -1], np.int64)
