"""Recount releases in force by the records they were made from: does one cell lie inside another?

What is published cannot tell that a group of stays lies wholly within a diagnosis; the warehouse
can. So where the version a release was made from is still there, its records are read again and
every combination of up to three shown cells of the linked services is looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.releases.kernel import Ints, unmixed
from gateway.releases.manifest import ReleaseError
from gateway.releases.records import Grid, Records, read_records
from gateway.releases.restated.versions import version_of
from gateway.releases.sdc.combined import NONE
from gateway.releases.sdc.overlaps import Sets, overlaps
from gateway.releases.sensitive import rolled_up
from gateway.releases.shelf import Entry, entries
from gateway.releases.source import Source
from gateway.releases.store import cell_file
from gateway.releases.verify import REST, Report

_NAMED = 10


@dataclass(frozen=True)
class Sheet:
    """The shown cells of a service over the same columns, whatever profile shows them."""

    service: str
    grid: Grid

    def text(self, at: int) -> str:
        """A cell in words."""
        sizes = [len(self.grid.places), *map(len, self.grid.values)]
        span, place, *codes = (int(d[0]) for d in unmixed(self.grid.keys[[at]], sizes))
        named = zip(self.grid.columns, self.grid.values, codes, strict=True)
        words = [f"{column}={values[code]}" for column, values, code in named]
        period = "=".join(self.grid.spans[span])
        return f"{self.service} " + "/".join([period, self.grid.places[place], *words])


def recount(
    root: Path, catalogue: Catalogue, sensitive: Mapping[str, Any], warehouse: Path
) -> list[Report]:
    """Check the releases in force of every group of services whose contract names its records; of
    a group of which some were not built, those that were."""
    in_force = {e.manifest.service: e for e in entries(root) if e.state == "in force"}
    reports = []
    for service in catalogue.services.values():
        if service.disclosure.records is None or service.id not in in_force:
            continue
        linked = _group(service, catalogue.services)
        group = {name: where for name, where in linked.items() if name in in_force}
        others = ", ".join(sorted(group.keys() - {service.id}))
        name = f"{service.id}{others and ' with '}{others} by records"
        version = version_of(in_force[service.id].manifest, warehouse)
        if version is None:
            reports.append(Report(f"{name}, whose warehouse is gone: not recounted", ()))
            continue
        records = _records(version, catalogue, service, sensitive)
        sheets = [s for n, where in group.items() for s in _sheets(in_force[n], where, records)]
        k = max(int(p["k_person"]) for n in group for p in in_force[n].manifest.profiles.values())
        found = list(few(sheets, records, k))
        faults = [f"{REST}: {text} leaves fewer than {k} persons" for text in found[:_NAMED]]
        more = [f"{REST}: {len(found) - _NAMED} more such subtractions"][: len(found) > _NAMED]
        reports.append(Report(name, (*faults, *more)))
    return reports


def _records(
    version: Path, catalogue: Catalogue, service: Service, sensitive: Mapping[str, Any]
) -> Records:
    source = Source(version, catalogue.rollups_sql(service))
    try:
        found = read_records(catalogue, service, source, rolled_up(service, sensitive))
    finally:
        source.close()
    if found is None:
        raise ReleaseError("records_unnamed", f"{service.id} names no query of its records.")
    return found


def _group(service: Service, services: Mapping[str, Service]) -> dict[str, dict[str, str]]:
    """The service and those linked with it, each with the values that its cells must name."""
    found: dict[str, dict[str, str]] = {service.id: {}}
    found |= {link.service: dict(link.where) for link in service.disclosure.linked}
    for name, other in services.items():
        if any(link.service == service.id for link in other.disclosure.linked):
            found.setdefault(name, {})
    return found


def _sheets(entry: Entry, where: Mapping[str, str], records: Records) -> Iterator[Sheet]:
    manifest = entry.manifest
    columns_of = {n: c for n, c in enumerate(manifest.shapes) if {*c} <= records.words.keys()}
    size = len(manifest.blocks) * len(manifest.geo)
    held = np.unique(
        np.concatenate([_shown(entry.folder / cell_file(key)) for key in manifest.profiles]), axis=0
    )
    for shape, columns in columns_of.items():
        rows = held[held[:, 0] // size == shape]
        values = tuple(manifest.levels[column].values for column in columns)
        keys = (rows[:, 0] % size) * prod(map(len, values)) + rows[:, 1]
        if where.keys() <= {*columns}:
            grid = Grid(columns, values, manifest.blocks, manifest.geo, np.sort(keys))
            named = _only(grid, where)
            if named.keys.size:
                yield Sheet(manifest.service, named)


def _shown(path: Path) -> Ints:
    """Block and cell of all that is shown."""
    con = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        rows = con.execute(
            "SELECT block, cell FROM cells WHERE instr(marks, 'r') > 0 OR instr(marks, 'o') > 0"
        ).fetchall()
    finally:
        con.close()
    return np.array(rows, np.int64).reshape(-1, 2)


def _only(grid: Grid, where: Mapping[str, str]) -> Grid:
    """The cells that name these values."""
    digits = unmixed(grid.keys, [len(values) for values in grid.values])[1:]
    keep = np.ones(grid.keys.size, np.bool_)
    for column, value in where.items():
        at = grid.columns.index(column)
        keep &= digits[at] == grid.values[at].index(value)
    return Grid(grid.columns, grid.values, grid.spans, grid.places, grid.keys[keep])


def few(sheets: Sequence[Sheet], records: Records, k: int) -> Iterator[str]:
    """Each combination of up to three cells that leaves a few persons, as a sentence."""
    first = np.cumsum([0, *(len(sheet.grid.keys) for sheet in sheets)])

    def text(cell: int) -> str:
        sheet = int(np.searchsorted(first, cell, side="right")) - 1
        return sheets[sheet].text(cell - int(first[sheet]))

    spans = {span for sheet in sheets for span in sheet.grid.spans}
    grain = max((Grain(name) for name, _ in spans), key=list(Grain).index)
    for span in sorted(span for span in spans if span[0] == grain):
        own = records.during({span})
        inside = [own.inside(sheet.grid) for sheet in sheets]
        cell = np.concatenate([of + at for (of, _), at in zip(inside, first, strict=False)])
        record = np.concatenate([held for _, held in inside])
        cells, node = np.unique(cell, return_inverse=True)
        order = np.argsort(node, kind="stable")
        rests = overlaps(Sets(node[order], record[order], own.person), cells.size, k)
        for plus, minus in zip(rests.plus.tolist(), rests.minus.tolist(), strict=True):
            added, taken = ([text(int(cells[i])) for i in of if i != NONE] for of in (plus, minus))
            yield f"{' plus '.join(added)} less {' and '.join(taken)}"
