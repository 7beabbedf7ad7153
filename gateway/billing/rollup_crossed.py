"""Which places several journals charged some cells of both: where something may be given back.

Most places that several processes charge are charged for different cells. So bits are counted for
whole columns first, and only places with fewer cells than charges are looked at event by event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gateway.journal.engine import batches

_ROWS: Final = 50_000
_CROSSED = """
CREATE OR REPLACE TEMP TABLE crossed AS
SELECT tenant, release, place FROM ({charged})
WHERE release IN (SELECT DISTINCT release FROM month_charged)
GROUP BY ALL HAVING min(journal) <> max(also)
"""
_BITS = """
SELECT hash(tenant, release, place) AS place, cells, times
FROM ({charged}) SEMI JOIN crossed USING (tenant, release, place) ORDER BY 1
"""
_KEEP = """
DELETE FROM crossed WHERE hash(tenant, release, place) NOT IN (SELECT place FROM overlapping)
"""

Bits = npt.NDArray[np.uint8]
_POPULATION: Final = np.array([byte.bit_count() for byte in range(256)], np.int64)


def note_crossed(db: duckdb.DuckDBPyConnection, charged: str) -> bool:
    """Fill the table `crossed` (tenant, release, place) by all that was `charged`; whether there is
    anything in it."""
    db.execute(_CROSSED.format(charged=charged))
    if not db.execute("SELECT 1 FROM crossed LIMIT 1").fetchall():
        return False
    found = [each for part in _overlapping(db, charged) for each in part]
    db.register("overlapping", pa.table({"place": pa.array(found, pa.uint64())}))
    db.execute(_KEEP)
    return bool(found)


def _overlapping(db: duckdb.DuckDBPyConnection, charged: str) -> Iterator[list[int]]:
    """Places, by their hash, of which some cell was charged more than once."""
    left: pa.Table | None = None
    for batch in batches(db, _BITS.format(charged=charged), _ROWS):
        rows = pa.table(batch) if left is None else pa.concat_tables([left, pa.table(batch)])
        # The last place may go on in the next batch.
        places = rows["place"].to_numpy()
        whole = int(np.searchsorted(places, places[-1], "left"))
        yield _more_charges_than_cells(rows.slice(0, whole))
        left = rows.slice(whole)
    if left is not None:
        yield _more_charges_than_cells(left)


def _more_charges_than_cells(rows: pa.Table) -> list[int]:
    if not rows.num_rows:
        return []
    places = rows["place"].to_numpy()
    cells = rows["cells"].to_pylist()
    size = max(map(len, cells))
    bits: Bits = np.frombuffer(b"".join(c.rjust(size, b"\0") for c in cells), np.uint8)
    bits = bits.reshape(-1, size)
    starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
    times = rows["times"].to_numpy()
    charged = np.add.reduceat(_POPULATION[bits].sum(axis=1) * times, starts)
    held = _POPULATION[np.bitwise_or.reduceat(bits, starts, axis=0)].sum(axis=1)
    found: list[int] = places[starts[charged > held]].tolist()
    return found
