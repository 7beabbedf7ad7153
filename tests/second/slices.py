"""Random cells of a release against a second implementation, figure by figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import duckdb
import numpy as np

from gateway.releases.listing import Listed, listing
from gateway.releases.manifest import Manifest
from gateway.releases.store import ReleaseStore
from synthetic.warehouse.schema import TABLES as WAREHOUSE
from synthetic.warehouse.schema import arrow_schema
from tests.served_recount import MEASURES, TABLES, Recount, Rounding

LICENSED, PUBLIC = (5, 4), (10, 3)  # counts and digits of DC2 and DC2P, and of DC1


@dataclass(frozen=True)
class Shown:
    """One published figure of one cell."""

    service: str
    measure: str
    cell: Mapping[str, str]
    value: str | int | float


def recount_of(
    folder: Path, modules: Sequence[ModuleType], rounding: Rounding = LICENSED
) -> Recount:
    """The warehouse in a folder, with the tables and measures of some second implementations."""
    con = duckdb.connect()
    tables_of(con, folder)
    tables, measures = dict(TABLES), dict(MEASURES)
    for module in modules:
        if hasattr(module, "frames"):
            for name, frame in module.frames(con).items():
                con.register(name, frame)
        tables |= module.TABLES
        measures |= module.MEASURES
    return Recount(con, tables, measures, rounding)


def tables_of(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A view of each table of a warehouse; what it lacks is empty."""
    for name, table in WAREHOUSE.items():
        path = folder / f"{name}.parquet"
        if path.is_file():
            con.execute(f"CREATE VIEW {name} AS FROM '{path}'")
        else:
            con.register(f"no_{name}", arrow_schema(table).empty_table())
            con.execute(f"CREATE VIEW {name} AS FROM no_{name}")


def published(
    releases: Path, service: str, sample: int, seed: int, rounding: Rounding = LICENSED
) -> list[Shown]:
    """Figures of up to so many random cells that are shown, whatever their shape."""
    manifest = ReleaseStore(releases).latest(service)
    assert manifest is not None, service
    folder = releases / service / manifest.release_id
    key = _key(manifest, rounding)
    rows = [row for row in listing(folder, manifest, key) if row.shown]
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(rows), min(sample, len(rows)), replace=False)
    return [shown for at in chosen.tolist() for shown in _figures(manifest, rows[at])]


def astray(recount: Recount, figures: Sequence[Shown]) -> Iterator[str]:
    """The figures that a second implementation does not find, as sentences."""
    for shown in figures:
        if shown.measure.endswith("_trend"):  # compares published figures
            continue
        span = recount.span(shown.service, shown.measure, shown.cell)
        if isinstance(span, str):
            right = shown.value == span
        else:
            right = span[0] <= float(shown.value) <= span[1]
        if not right:
            yield f"{shown.service}.{shown.measure} {dict(shown.cell)}: {shown.value}, not {span}"


def _key(manifest: Manifest, of: Rounding) -> str:
    """A profile whose rounding is that of the recount."""
    rounding = {"count_round": of[0], "amount_sig_digits": of[1]}
    return next(
        key for key, p in manifest.profiles.items() if all(p[n] == v for n, v in rounding.items())
    )


def _figures(manifest: Manifest, row: Listed) -> Iterator[Shown]:
    cell = {row.grain: row.period, **dict(row.values)}
    if any("sensitive_other" in value for value in cell.values()):
        return
    for measure, value, mark in zip(manifest.measures, row.figures, row.marks, strict=True):
        if mark in "or" and value is not None:
            yield Shown(manifest.service, measure.name, cell, value)
