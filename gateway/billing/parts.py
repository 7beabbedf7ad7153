"""Whose records made delivered cells possible, and how well they had delivered them.

A release says who contributed to each of its cells and how each provider stood in each period.
Cells that agree in provider, period and uniqueness are added up, so a service-month is a few
thousand contributions, whatever was delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from gateway.billing.joint import Held, joint
from gateway.journal.engine import engine
from gateway.releases.contributions import FILE
from gateway.releases.manifest import Manifest
from gateway.releases.quality import read_quality
from metering.sharing import MEAN, SHARE_ONE, Contribution, Strategy

# Cell -1 stands for its whole block: what is charged as one answer is made from all of it.
_HELD = """
SELECT block, cell, provider, persons, share, "unique", times
FROM delivered JOIN read_parquet($file) USING (block, cell) WHERE profile = $profile
UNION ALL
SELECT d.block, d.cell, h.provider, h.persons, h.share, h."unique", d.times
FROM delivered d JOIN read_parquet($file) h ON h.block = d.block
WHERE h.cell = -1 AND h.profile = $profile
"""
_SUMMED = """
SELECT (block // $places) % $spans, provider, "unique",
  sum(CAST(round(share * $one) AS HUGEINT) * times)::VARCHAR,
  sum(CAST(even AS HUGEINT) * times)::VARCHAR
FROM ({held}) GROUP BY ALL ORDER BY ALL
"""
_NOBODY: Final = "SELECT *, 0 AS even FROM ({held})"
# A cell is there as soon as one of its holders takes part: each has the same part in it.
_ALIKE: Final = """
SELECT *, {one} // count(*) OVER (PARTITION BY block, cell) AS even FROM ({held})
"""


@dataclass(frozen=True)
class Released:
    """A release under one profile, as answers are served from it."""

    folder: Path
    manifest: Manifest
    profile: str


def parts(
    delivered: pa.Table, released: Released, strategy: Strategy, seed: str
) -> list[Contribution]:
    """The contributions to delivered cells of a release.

    `delivered`: `block`, `cell`, `times`, one row a cell. `seed` names the service-month: the
    orders of providers that a joint value is estimated from follow from it, the same for anybody.
    """
    folder, manifest, profile = released.folder, released.manifest, released.profile
    with engine() as db:
        db.register("delivered", delivered)
        told = {"file": str(folder / FILE), "profile": profile}
        held = _HELD
        if strategy == "shapley_joint":
            query = f"SELECT * FROM ({_HELD}) ORDER BY block, cell, provider"
            rows = db.sql(query, params=told).to_arrow_table()
            db.register("joint_parts", _joint(rows, manifest.profiles[profile], seed))
            held, told = "SELECT * FROM joint_parts", {}
        elif strategy == "shapley":
            held = _ALIKE.format(one=SHARE_ONE, held=_HELD)
        else:
            held = _NOBODY.format(held=_HELD)
        shape = {"places": len(manifest.geo), "spans": len(manifest.blocks), "one": SHARE_ONE}
        found = db.execute(_SUMMED.format(held=held), {**told, **shape}).fetchall()
    known = read_quality(folder)
    return [
        Contribution(
            provider,
            int(share),
            unique,
            even=int(even),
            quality=known.get((span, provider), MEAN),
        )
        for span, provider, unique, share, even in found
    ]


def _joint(rows: pa.Table, profile: dict[str, object], seed: str) -> pa.Table:
    """The rows with what each gains by making its cell publishable."""
    blocks, cells = (rows[name].to_numpy() for name in ("block", "cell"))
    number = np.cumsum(
        np.append(0, (blocks[1:] != blocks[:-1]) | (cells[1:] != cells[:-1]))[: len(blocks)]
    )
    names = rows["provider"].cast(pa.string()).combine_chunks().dictionary_encode()
    least = int(str(profile["k_person"])), int(str(profile["min_institutions"]))
    held = Held(
        number.astype(np.int64),
        names.indices.to_numpy().astype(np.int64),
        rows["persons"].to_numpy().astype(np.int64),
    )
    even = joint(held, names.dictionary.to_pylist(), least, seed)
    return rows.append_column("even", pa.array(even))
