"""Starting with a central store: connect, and find what this node recorded there before.

The sums beside the spool cover the direct chain but for its last events; those are read from the
store. Where it cannot be read and they could be missing, the start is refused: a quota counted too
low would be given out twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.errors import OperatorError
from gateway.journal import standing
from gateway.journal.central import Central
from gateway.journal.checkpoint import CheckpointFile
from gateway.journal.postgres import DirectStore, StoreDown, direct_id
from gateway.journal.spool import Spool
from gateway.journal.stores import Direct, Signed, check_end, direct_path
from metering.calendar import month_begins
from metering.usage import FIELDS, UsageEvent, from_record, time_text

_NAMES = ", ".join("grant_id" if name == "grant" else name for name in FIELDS)
_TAIL = f"""
SELECT {_NAMES} FROM usage_event
WHERE journal_id = $1 AND seq > $2 AND time >= $3 AND event_id <> ALL($4::uuid[])
"""
_UNSURE = "SELECT event_id FROM unsure"


def open_direct(
    dsn: str,
    node: str,
    spool: Spool,
    *,
    keys: Path,
    clock: Callable[[], datetime],
    signed: Callable[[CheckpointFile], Signed],
) -> Direct:
    """The way into the store; open also while it is away."""
    store = DirectStore(dsn, node, spool.journal_id, spool.created, spool.ground)
    central = Central(dsn, node, spool.path, clock)
    file = CheckpointFile(direct_path(spool.path), direct_id(spool.journal_id), keys)
    direct = Direct(store, central, signed(file))
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


def unfolded(direct: Direct, local: sqlite3.Connection, now: datetime) -> list[UsageEvent]:
    """What the sums beside the spool lack of the direct chain. What may be in both stores is in
    the spool, and counted there."""
    upto, complete = standing.direct_folded(local)
    if complete and not direct.central.up:
        return []
    unsure = [row[0] for row in local.execute(_UNSURE)]
    try:
        rows = direct.store.fetch(_TAIL, direct.store.journal_id, upto, month_begins(now), unsure)
    except StoreDown as error:
        raise OperatorError(
            "journal_store_down",
            "This node was not stopped in order and PostgreSQL cannot be read, so what it has"
            " already served is not known. Start it again when PostgreSQL answers.",
        ) from error
    return [from_record(_plain(dict(zip(FIELDS, row.values(), strict=True)))) for row in rows]


def _plain(found: dict[str, Any]) -> dict[str, object]:  # Any: as the columns are
    """Ids and time as an event's record has them."""
    repeat = found["repeat_of"]
    return found | {
        "event_id": str(found["event_id"]),
        "repeat_of": None if repeat is None else str(repeat),
        "time": time_text(found["time"]),
    }
