"""Cells as bits, counted for whole columns: where were more cells charged than there are?

Most places that are charged for more than once are charged for different cells. So bits are counted
first, and only places with fewer cells than charges are looked at event by event.
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
_POPULATION: Final = np.array([byte.bit_count() for byte in range(256)], np.int64)


def charged_again(db: duckdb.DuckDBPyConnection, charges: str) -> Iterator[list[int]]:
    """Places of which some cell was charged more than once. `charges`: a question for the columns
    `place` (a number), `cells` (bits) and `times`, in the order of places."""
    left: pa.Table | None = None
    for batch in batches(db, charges, _ROWS):
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
    size = max(1, *map(len, cells))
    bits: npt.NDArray[np.uint8] = np.frombuffer(
        b"".join(c.rjust(size, b"\0") for c in cells), np.uint8
    ).reshape(-1, size)
    starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
    times = rows["times"].to_numpy()
    charged = np.add.reduceat(_POPULATION[bits].sum(axis=1) * times, starts)
    held = _POPULATION[np.bitwise_or.reduceat(bits, starts, axis=0)].sum(axis=1)
    found: list[int] = places[starts[charged > held]].tolist()
    return found
