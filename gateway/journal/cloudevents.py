"""Usage events as CloudEvents 1.0 in JSON, one a line: for a billing system or an event bus.

`id` is the event's own, so whoever takes a line twice can tell. No person is in a usage event; what
was asked is there as a hash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

from gateway.journal.entry import canonical
from gateway.journal.reader import USAGE_COLUMNS, identity
from metering.usage import FIELDS

TYPE = "org.sluice.usage.v1"
_USAGE = f"SELECT seq, {USAGE_COLUMNS} FROM usage_event WHERE seq > ? ORDER BY seq"


def usage_lines(db: sqlite3.Connection, after: int = 0) -> Iterator[bytes]:
    """The usage events of a journal after an event's number."""
    journal_id, _ = identity(db)
    for seq, *values in db.execute(_USAGE, (after,)):
        yield usage_line(journal_id, seq, dict(zip(FIELDS, values, strict=True)))


def usage_line(journal_id: str, seq: int, usage: Mapping[str, object]) -> bytes:
    """One usage event of a journal."""
    return canonical(
        {
            "specversion": "1.0",
            "id": usage["event_id"],
            "source": f"urn:sluice:journal:{journal_id}",
            "type": TYPE,
            "subject": usage["grant"],
            "time": usage["time"],
            "datacontenttype": "application/json",
            "sequence": f"{seq:020d}",
            "data": usage,
        }
    )
