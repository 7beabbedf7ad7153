"""Proof that the archive holds what the journals hold, event by event.

A journal that was false for a while and is true again left its false events in the archive, which
no check of its files can see. So before money moves, the events of the hours in question are read
from the journals once more and compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import add
from typing import Final, TypeAlias

import duckdb
import pyarrow as pa

from gateway.billing.archive_events import archived
from gateway.billing.watermark import hour_begins
from gateway.journal.events import EventSource

# SHA-256 over every column of an event, added up over an hour in quarters: the same whatever the
# order, and the same event twice does not cancel out.
_QUARTERS: Final = ", ".join(
    f"sum(('0x' || substr(told, {at}, 16))::UBIGINT)::VARCHAR" for at in (1, 17, 33, 49)
)
_TOLD = f"""
SELECT hour, journal, count(*), {_QUARTERS}
FROM (
  SELECT epoch_us(time) // 3600000000 AS hour, journal, sha256(to_json({{rows}})::VARCHAR) AS told
  FROM {{rows}}
) GROUP BY ALL
"""

_Sums: TypeAlias = tuple[int, ...]
_Found: TypeAlias = dict[tuple[int, str], _Sums]


def same_events(
    db: duckdb.DuckDBPyConnection, events: EventSource, told: str, begins: int, ends: int
) -> bool:
    """Whether the events of some hours in the view `told` are those of the journals."""
    ours = _sums(db, told)
    theirs: _Found = {}
    for rows in _read(events, begins, ends):
        db.register("reread", rows)
        for key, sums in _sums(db, "reread").items():
            before = theirs.get(key, (0,) * len(sums))
            theirs[key] = tuple(map(add, before, sums))
    return ours == {key: sums for key, sums in theirs.items() if begins <= key[0] < ends}


def _read(events: EventSource, begins: int, ends: int) -> Iterator[pa.Table]:
    heads = events.heads()
    for journal, (first, last) in events.numbered(hour_begins(begins), hour_begins(ends)).items():
        for rows, _ in archived(events, journal, first - 1, min(last, heads.get(journal, 0))):
            yield rows


def _sums(db: duckdb.DuckDBPyConnection, rows: str) -> _Found:
    found = db.execute(_TOLD.format(rows=rows)).fetchall()
    return {(hour, journal): tuple(map(int, sums)) for hour, journal, *sums in found}
