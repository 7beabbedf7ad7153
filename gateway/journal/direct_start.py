"""Starting with a central store: connect, and find what this node recorded there before.

The sums beside the spool cover the direct chain but for its last events; those are read from the
store. Where it cannot be read and they could be missing, the node starts on its spool and its
counters are not complete: nothing that a quota limits is answered, for a quota counted too low
would be given out twice. What was missing is counted as soon as the store answers, before anything
is recorded there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from gateway.journal.central import Central
from gateway.journal.checkpoint import CheckpointFile
from gateway.journal.counters import Counters, Total
from gateway.journal.postgres import DirectStore, StoreDown, direct_id
from gateway.journal.spool import Spool
from gateway.journal.stores import Direct, Signed, check_end, direct_path
from gateway.journal.tree import Grown
from gateway.metrics import meters
from metering.calendar import day_of, month_begins
from metering.rating import key_of
from metering.usage import FIELDS, UsageEvent, from_record, time_text

_NAMES = ", ".join("grant_id" if name == "grant" else name for name in FIELDS)
_TAIL = f"""
SELECT {_NAMES} FROM usage_event
WHERE journal_id = $1 AND seq > $2 AND time >= $3 AND event_id <> ALL($4::uuid[])
"""

Folded: TypeAlias = tuple[int, bool]
"""The last event of the direct chain in the sums, and whether no later one can exist."""


def open_direct(
    dsn: str,
    node: str,
    spool: Spool,
    *,
    keys: Path,
    clock: Callable[[], datetime],
    signed: Callable[[CheckpointFile, Callable[[], Grown]], Signed],
) -> Direct:
    """The way into the store; open also while it is away."""
    store = DirectStore(dsn, node, spool.journal_id, spool.created, spool.ground)
    central = Central(dsn, node, spool.path, clock)
    file = CheckpointFile(direct_path(spool.path), direct_id(spool.journal_id), keys)
    direct = Direct(store, central, signed(file, lambda: store.tree))
    try:
        store.connect()
        check_end(store, file)
    except StoreDown:
        direct.lost()
    except BaseException:
        central.close()
        store.close()
        raise
    return direct


def unfolded(
    direct: Direct, spool: Spool, folded: Folded, now: datetime
) -> list[UsageEvent] | None:
    """What the sums beside the spool lack of the direct chain; None while that cannot be known.
    What may be in both stores is in the spool, and counted there."""
    upto, complete = folded
    if complete and not direct.central.up:
        return []
    try:
        rows = direct.store.fetch(
            _TAIL, direct.store.journal_id, upto, month_begins(now), spool.unsure()
        )
    except StoreDown:
        return None
    return [from_record(_plain(dict(zip(FIELDS, row.values(), strict=True)))) for row in rows]


def count_late(counters: Counters, events: Sequence[UsageEvent], now: datetime) -> None:
    """Add events that were recorded before this process began; from then on nothing is missing."""
    today = [event for event in events if day_of(event.time) == day_of(now)]
    counters.restore(
        [Total(one.grant, one.qty, 0, 0) for one in events]
        + [Total(one.grant, 0, 1, one.qty) for one in today],
        ((one.grant, one.query_hash) for one in today),
        ((key_of(one), one.billable_qty) for one in events),
        now,
    )
    counters.complete = True
    meters.counted(complete=True)


def _plain(found: dict[str, Any]) -> dict[str, object]:  # Any: as the columns are
    """Ids and time as an event's record has them."""
    repeat = found["repeat_of"]
    return found | {
        "event_id": str(found["event_id"]),
        "repeat_of": None if repeat is None else str(repeat),
        "time": time_text(found["time"]),
    }
