"""Proof that the archive holds what the journals hold, event by event.

A journal that was false for a while and is true again left its false events in the archive, which
no check of its files can see. So before money moves, the events of the hours in question are read
from the journals once more and compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import duckdb
import pyarrow as pa

from gateway.billing.archive_events import archived
from gateway.billing.watermark import hour_begins
from gateway.journal.events import EventSource

# MD5 over every column of an event, joined by XOR over an hour: the same whatever the order.
_TOLD = """
SELECT epoch_us(time) // 3600000000 AS hour, journal, count(*),
  bit_xor(md5_number(to_json({rows})::VARCHAR))::VARCHAR
FROM {rows} GROUP BY ALL
"""

_Found: TypeAlias = dict[tuple[int, str], tuple[int, int]]


def same_events(
    db: duckdb.DuckDBPyConnection, events: EventSource, told: str, begins: int, ends: int
) -> bool:
    """Whether the events of some hours in the view `told` are those of the journals."""
    ours = _sums(db, told)
    theirs: _Found = {}
    for rows in _read(events, begins, ends):
        db.register("reread", rows)
        for key, (count, mark) in _sums(db, "reread").items():
            before = theirs.get(key, (0, 0))
            theirs[key] = (before[0] + count, before[1] ^ mark)
    return ours == {key: sums for key, sums in theirs.items() if begins <= key[0] < ends}


def _read(events: EventSource, begins: int, ends: int) -> Iterator[pa.Table]:
    heads = events.heads()
    for journal, (first, last) in events.numbered(hour_begins(begins), hour_begins(ends)).items():
        for rows, _ in archived(events, journal, first - 1, min(last, heads.get(journal, 0))):
            yield rows


def _sums(db: duckdb.DuckDBPyConnection, rows: str) -> _Found:
    found = db.execute(_TOLD.format(rows=rows)).fetchall()
    return {(hour, journal): (count, int(mark)) for hour, journal, count, mark in found}
