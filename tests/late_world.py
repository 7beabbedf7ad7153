"""A home whose warehouse grew between two releases: late settlements of a random few visits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gateway.releases.build import Order, build
from gateway.releases.keys import FILE, rounding_key
from gateway.releases.listing import Listed, listing
from gateway.releases.manifest import Manifest
from gateway.settings import Settings
from gateway.warehouse import store
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
AGAIN = datetime(2026, 3, 1, tzinfo=UTC)
Cell = tuple[str, str, str, tuple[tuple[str, str], ...]]


def late_world(home: Path, share: float, *, persons: int = 1200, visits: int = 6000) -> None:
    """Two versions of a warehouse: the older (current) lacks a share of the newer one's visits. The
    rounding key is a fixed one: which counts move by few depends on it."""
    rounding_key(Settings(home=home).keys)
    (Settings(home=home).keys / FILE).write_bytes(bytes(range(32)))
    build_warehouse(home, persons=persons, visits=visits, days=85)
    full = store.current(home / "warehouse")
    ids = np.array(pq.read_table(full / "mdtrt_d.parquet")["mdtrt_id"].to_pylist())
    late = np.random.default_rng(3).choice(ids, int(ids.size * share), replace=False)
    setl = pq.read_table(full / "setl_d.parquet")
    bills = setl.filter(pc.is_in(setl["mdtrt_id"], pa.array(late)))["setl_id"]
    draft = home / "warehouse" / "versions" / "draft"
    draft.mkdir()
    for path in full.glob("*.parquet"):
        table = pq.read_table(path)
        for column, gone in (("mdtrt_id", pa.array(late)), ("setl_id", bills)):
            if column in table.column_names:
                table = table.filter(pc.invert(pc.is_in(table[column], gone)))
        pq.write_table(table, draft / path.name)
    store.publish(home / "warehouse", draft, {"kind": "test"}, datetime(2025, 12, 1, tzinfo=UTC))
    point(home, 0)


def point(home: Path, number: int) -> Path:
    """Make one of the versions, oldest first, the current one."""
    root = home / "warehouse"
    name = store.versions(root)[number]
    fresh = root / "CURRENT.new"
    fresh.write_text(name, encoding="utf-8")
    os.replace(fresh, root / "CURRENT")  # noqa: PTH105  (as the store does)
    return root / "versions" / name


def released(home: Path, now: datetime, services: Sequence[str] = ("S05",)) -> list[Manifest]:
    """Build releases of services without those they are linked with."""
    order = Order(tuple(services), waivers=INVENTED, alone=True)
    return build(Settings(home=home), order, now)


def cells(home: Path, manifest: Manifest, key: str) -> dict[Cell, Listed]:
    """The rows of one profile of a release."""
    folder = Settings(home=home).releases / manifest.service / manifest.release_id
    rows: Iterator[Listed] = listing(folder, manifest, key)
    return {(row.grain, row.period, row.geo, row.values): row for row in rows}
