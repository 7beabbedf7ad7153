"""Whose records made the charged answers of a month possible.

The journal says which cells of which release were charged; the release says who contributed to each
cell. A cell counts as often as measures of it were charged, and as often as tenants paid for it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from gateway.errors import OperatorError
from gateway.releases.contributions import FILE
from gateway.releases.manifest import Manifest
from gateway.releases.places import cells_at
from gateway.releases.store import read_manifest
from metering.calendar import month_range
from metering.sharing import SHARE_ONE, Contribution
from metering.usage import time_text

_SOURCES = """
SELECT DISTINCT service, providers_ref FROM usage_event
WHERE time >= ? AND time < ? AND seq <= ? AND billable_qty > 0 AND unit <> 'free'
ORDER BY 1, 2
"""
_CHARGED = """
SELECT c.place, c.cells FROM usage_event u JOIN charged_cell c
  ON c.tenant = u.tenant AND c.release = u.release AND c.seq = u.seq
WHERE u.time >= ? AND u.time < ? AND u.seq <= ? AND u.service = ? AND u.providers_ref = ?
  AND u.unit <> 'free'
"""
_JOINED = """
SELECT provider, "unique", sum(CAST(round(share * $one) AS HUGEINT) * times)::VARCHAR
FROM delivered JOIN read_parquet($file) USING (block, cell)
WHERE profile = $profile GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Source:
    """A release under one profile: where contributions are looked up."""

    service: str
    release: str
    profile: str


def contributions(
    journal: sqlite3.Connection, releases: Path, month: str, until: int
) -> Iterator[tuple[str, Contribution]]:
    """Service and contribution, summed over all cells charged in a month up to event `until`.

    `times` holds the sum of shares in billionths and `share` is one billionth, so that the product
    is what `metering.sharing` weighs, whatever was added up before.
    """
    span = (*(time_text(moment) for moment in month_range(month)), until)
    for service, reference in journal.execute(_SOURCES, span).fetchall():
        release, _, profile = str(reference).partition("/")
        folder = releases / service / release
        manifest = _manifest(folder, release)
        rows = journal.execute(_CHARGED, (*span, service, reference))
        delivered = _delivered(rows, len(manifest.measures))
        for provider, unique, share in _joined(folder / FILE, profile, delivered):
            yield service, Contribution(provider, 1, unique, int(share))


def _manifest(folder: Path, release: str) -> Manifest:
    manifest = read_manifest(folder)
    if manifest is None:
        raise OperatorError(
            "release_missing",
            f"Release {release} was charged for and is not there: restore it, its contributions "
            "decide who shares the fees.",
        )
    return manifest


def _delivered(rows: sqlite3.Cursor, width: int) -> pa.Table:
    """Addresses of the charged cells and how often each counts."""
    counts: Counter[tuple[int, int]] = Counter()
    for place, bits in rows:
        for block, cell, measures in cells_at(place, int.from_bytes(bits, "big"), width):
            counts[block, cell] += measures
    return pa.table(
        {
            "block": pa.array([block for block, _ in counts], pa.int64()),
            "cell": pa.array([cell for _, cell in counts], pa.int64()),
            "times": pa.array(counts.values(), pa.int64()),
        }
    )


def _joined(file: Path, profile: str, delivered: pa.Table) -> list[tuple[str, bool, str]]:
    with duckdb.connect(config={"threads": 1}) as db:
        db.register("delivered", delivered)
        told = {"one": SHARE_ONE, "file": str(file), "profile": profile}
        return db.execute(_JOINED, told).fetchall()
