"""Reading the journal: counters at start, a tenant's usage, and the auditor's streams."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.journal.counters import Used
from gateway.journal.schema import connect_reading
from metering.calendar import month_range
from metering.rating import Accrual, LineKey
from metering.summary import CallKey, UsageRow, summarise
from metering.usage import FIELDS, time_of, time_text

_SAME_NAME = {"grant": "grant_id"}
USAGE_COLUMNS = ", ".join(_SAME_NAME.get(name, name) for name in FIELDS)

_USED = """
SELECT grant_id, release, query_hash, page, event_id, repeat_of, qty, time
FROM usage_event WHERE seq >= ? ORDER BY seq
"""
ACCRUED = """
SELECT month, tenant, grant_id, service, unit, price_ref, price_micro, count(*), sum(qty),
  sum(billable_qty), sum(iif(repeat_of IS NULL, 0, qty))
FROM usage_event WHERE tenant = ? AND time >= ? AND time < ? GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
REFUSED = """
SELECT coalesce(grant_id, ''), coalesce(service, ''), count(*)
FROM audit_event WHERE result = 'refused' AND tenant = ? AND time >= ? AND time < ? GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as it lies in the journal: the sealed audit event, its decision, its usage."""

    seq: int
    request_id: str
    body: str
    prev_hash: bytes
    hash: bytes
    decision: str | None
    decision_request: str | None
    usage: dict[str, str | int | None] | None


def first_since(db: sqlite3.Connection, since: datetime) -> int:
    """The number of the first event at or after a moment: times rise with the numbers."""
    low, high = 1, (db.execute("SELECT max(seq) FROM audit_event").fetchone()[0] or 0) + 1
    limit = time_text(since)
    while low < high:
        middle = (low + high) // 2
        row = db.execute("SELECT time FROM audit_event WHERE seq = ?", (middle,)).fetchone()
        if row is None or row[0] < limit:
            low = middle + 1
        else:
            high = middle
    return low


def used_since(db: sqlite3.Connection, since: datetime) -> Iterator[Used]:
    """Recorded answers from `since` on, reading nothing older."""
    for *values, time in db.execute(_USED, (first_since(db, since),)):
        yield Used._make((*values, time_of(time)))


def used_rows(db: sqlite3.Connection) -> Iterator[dict[str, str | int | None]]:
    """All usage events in order, as `metering.usage.from_record` takes them."""
    for row in db.execute(f"SELECT {USAGE_COLUMNS} FROM usage_event ORDER BY seq"):
        yield dict(zip(FIELDS, row, strict=True))


def recorded(db: sqlite3.Connection, after: int = 0) -> Iterator[Recorded]:
    """All events in order, joined to what was recorded with them."""
    usage = ", ".join(f"u.{column.strip()}" for column in USAGE_COLUMNS.split(","))
    rows = db.execute(
        "SELECT a.seq, a.request_id, a.body, a.prev_hash, a.hash, d.body, d.request_id, u.seq,"
        f" {usage} FROM audit_event a LEFT JOIN decision d ON d.seq = a.seq"
        " LEFT JOIN usage_event u ON u.seq = a.seq WHERE a.seq > ? ORDER BY a.seq",
        (after,),
    )
    for row in rows:
        event = None if row[7] is None else dict(zip(FIELDS, row[8:], strict=True))
        seq, request_id, body, prev_hash, digest, decision, decision_request = row[:7]
        yield Recorded(seq, request_id, body, prev_hash, digest, decision, decision_request, event)


def identity(db: sqlite3.Connection) -> tuple[str, str]:
    """The journal's id and when it was made: what the chain begins with."""
    journal_id, created = db.execute("SELECT id, created FROM journal").fetchone()
    return journal_id, created


def usage_summary(path: Path, tenant: str, months: Sequence[str]) -> tuple[UsageRow, ...]:
    """What one tenant used in the given months; nothing of any other tenant is read."""
    accruals: dict[LineKey, Accrual] = {}
    refusals: dict[CallKey, int] = {}
    with closing(connect_reading(path)) as db:
        for month in months:
            begins, ends = (time_text(moment) for moment in month_range(month))
            for row in db.execute(ACCRUED, (tenant, begins, ends)):
                accruals[LineKey(*row[:7])] = Accrual(*row[7:])
            for grant, service, count in db.execute(REFUSED, (tenant, begins, ends)):
                refusals[CallKey(month, tenant, grant, service)] = count
    return summarise(accruals, refusals)
