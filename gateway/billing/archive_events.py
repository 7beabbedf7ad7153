"""Events as the archive keeps them: what money follows from, each with the cells it charged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gateway.journal.events import CHARGED, USAGE, EventSource

_CELLS = pa.struct([("place", pa.int64()), ("cells", pa.binary())])
_KEPT = (
    "journal",
    "seq",
    "event_id",
    "tenant",
    "grant_id",
    "service",
    "release",
    "unit",
    "qty",
    "billable_qty",
    "price_ref",
    "price_micro",
    "providers_ref",
)
_MOMENT = pa.timestamp("us", tz="UTC")
_HOUR = 3_600_000_000
SCHEMA = pa.schema(
    [
        *(USAGE.schema.field(name) for name in _KEPT),
        ("time", _MOMENT),
        ("charged", pa.list_(_CELLS)),
    ]
)


def archived(
    events: EventSource, journal: str, after: int, until: int
) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64]]]:
    """One journal's events in order, batch by batch, with the hour of each (since 1970, UTC)."""
    span = ({journal: after}, {journal: until})
    charges = _Charges(events.rows(CHARGED, *span))
    for batch in events.rows(USAGE, *span):
        usage = pa.table(batch)
        seqs = usage["seq"].to_numpy()
        columns = [usage[name] for name in _KEPT]
        time = usage["time"].cast(_MOMENT)
        rows = pa.table([*columns, time, charges.of(seqs)], schema=SCHEMA)
        yield rows, hours_in(rows)


def hours_in(rows: pa.Table) -> npt.NDArray[np.int64]:
    """The hour of each event, counted from 1970 in UTC."""
    micros: npt.NDArray[np.int64] = rows["time"].cast(pa.int64()).to_numpy()
    return micros // _HOUR


class _Charges:
    """Hands out charged cells to events that are asked for in order."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left = CHARGED.schema.empty_table()
        self._more = True

    def of(self, seqs: npt.NDArray[np.int64]) -> pa.ListArray:
        """For each event the cells it charged; those of events that are not asked for are left
        out (the reconciliation reports them)."""
        rows = self._up_to(int(seqs[-1]))
        found = rows["seq"].to_numpy()
        rows = rows.filter(pa.array(np.isin(found, seqs)))
        found = rows["seq"].to_numpy()
        ends = np.searchsorted(found, seqs, "right")
        starts = np.concatenate([[0], ends]).astype(np.int32)
        cells = pa.StructArray.from_arrays(
            [rows[f.name].combine_chunks().cast(f.type) for f in _CELLS], fields=list(_CELLS)
        )
        return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), cells)

    def _up_to(self, seq: int) -> pa.Table:
        read = [self._left]
        while self._more and (read[-1].num_rows == 0 or read[-1]["seq"][-1].as_py() <= seq):
            batch = next(self._batches, None)
            self._more = batch is not None
            if batch is not None:
                read.append(pa.table(batch))
        rows = pa.concat_tables(read)
        many = int(pc.sum(pc.less_equal(rows["seq"], seq)).as_py() or 0)
        self._left = rows.slice(many)
        return rows.slice(0, many)
