"""What each grant has used so far, kept beside the events: a start must not read a month of them.

Sums by day of account and the queries of the last day, brought up to date every five thousand
events of the file, and of the chain that this node writes straight into PostgreSQL. No evidence:
whoever doubts them drops the tables, and the next start makes them anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.db.event_ids import first_id
from gateway.journal.counters import Total
from metering.calendar import day_of, month_begins, month_of
from metering.rating import LineKey
from metering.usage import UsageEvent, time_of

FOLD_EVERY = 5_000

TABLES = """
CREATE TABLE IF NOT EXISTS standing (
  id INTEGER PRIMARY KEY CHECK (id = 1), upto INTEGER NOT NULL,
  direct_upto INTEGER NOT NULL, complete INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS unsure (event_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing_use (
  day TEXT NOT NULL, tenant TEXT NOT NULL, grant_id TEXT NOT NULL, service TEXT NOT NULL,
  unit TEXT NOT NULL, price_ref TEXT NOT NULL, price_micro INTEGER NOT NULL,
  calls INTEGER NOT NULL, qty INTEGER NOT NULL, billable INTEGER NOT NULL,
  PRIMARY KEY (day, tenant, grant_id, service, unit, price_ref, price_micro)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing_query (
  day TEXT NOT NULL, grant_id TEXT NOT NULL, query_hash TEXT NOT NULL,
  PRIMARY KEY (day, grant_id, query_hash)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO standing VALUES (1, 0, 0, 1);
"""

_TAIL = """
SELECT date(time, '+8 hours') AS day, tenant, grant_id, service, unit, price_ref, price_micro,
  count(*) AS calls, sum(qty) AS qty, sum(billable_qty) AS billable
FROM usage_event WHERE seq > :after AND seq <= :upto GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_ADD_USE = f"""
INSERT INTO standing_use SELECT * FROM ({_TAIL}) WHERE true
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, qty = qty + excluded.qty,
  billable = billable + excluded.billable
"""
_TAIL_QUERIES = """
SELECT DISTINCT date(time, '+8 hours') AS day, grant_id, query_hash
FROM usage_event WHERE seq > :after AND seq <= :upto
"""
_ADD_QUERY = "INSERT OR IGNORE INTO standing_query VALUES (?, ?, ?)"
_ADD_ONE = """
INSERT INTO standing_use VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, qty = qty + excluded.qty,
  billable = billable + excluded.billable
"""
_UPTO = "UPDATE standing SET upto = ?, direct_upto = max(direct_upto, ?), complete = ?"
_ADD_QUERIES = f"INSERT OR IGNORE INTO standing_query {_TAIL_QUERIES}"
_ALL_USE = f"SELECT * FROM standing_use UNION ALL SELECT * FROM ({_TAIL})"
_TOTALS = f"""
SELECT grant_id, sum(qty), sum(iif(day >= :day, calls, 0)), sum(iif(day >= :day, qty, 0))
FROM ({_ALL_USE}) WHERE day >= :month GROUP BY grant_id
"""
_BILLABLE = f"""
SELECT substr(day, 1, 7), tenant, grant_id, service, unit, price_ref, price_micro, sum(billable)
FROM ({_ALL_USE}) WHERE day >= :month GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_QUERIES = f"""
SELECT grant_id, query_hash FROM standing_query WHERE day >= :day
UNION SELECT grant_id, query_hash FROM ({_TAIL_QUERIES}) WHERE day >= :day
"""


def folded(db: sqlite3.Connection) -> int:
    """The number of the last event the sums cover."""
    return int(db.execute("SELECT upto FROM standing").fetchone()[0])


def direct_folded(db: sqlite3.Connection) -> tuple[int, bool]:
    """The last event of the direct chain in the sums, and whether no later one can exist."""
    upto, complete = db.execute("SELECT direct_upto, complete FROM standing").fetchone()
    return int(upto), bool(complete)


@dataclass(frozen=True, slots=True)
class Folding:
    """Events recorded straight in the central store, up to its event `upto`, stamped `time`."""

    upto: int
    time: str
    events: Sequence[UsageEvent]


NOTHING_DIRECT = Folding(0, "", ())


def fold(
    db: sqlite3.Connection, upto: int, time: str, direct: Folding, *, complete: bool = False
) -> None:
    """Bring the sums up to event `upto` of the file, stamped `time`, and to the `direct` ones.

    `complete`: the process ends in order, nothing recorded is missing in them. What nobody will ask
    again is dropped.
    """
    latest = max(time, direct.time)
    db.execute("BEGIN IMMEDIATE")
    try:
        span: dict[str, str | int] = {"after": folded(db), "upto": upto}
        db.execute(_ADD_USE, span)
        db.execute(_ADD_QUERIES, span)
        db.executemany(_ADD_ONE, map(_use, direct.events))
        db.executemany(_ADD_QUERY, map(_query, direct.events))
        if latest:
            _forget(db, time_of(latest))
        db.execute("DELETE FROM idempotency WHERE expires < ?", (time,))
        values = (upto, direct.upto, complete)
        db.execute(_UPTO, values)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _forget(db: sqlite3.Connection, moment: datetime) -> None:
    db.execute("DELETE FROM standing_use WHERE day < ?", (f"{month_of(moment)}-01",))
    db.execute("DELETE FROM standing_query WHERE day < ?", (day_of(moment),))
    db.execute("DELETE FROM unsure WHERE event_id < ?", (first_id(month_begins(moment)),))


def _use(event: UsageEvent) -> tuple[str | int, ...]:
    whose = (event.tenant, event.grant, event.service, event.unit)
    price = (event.price_ref, event.price_micro)
    return (day_of(event.time), *whose, *price, 1, event.qty, event.billable_qty)


def _query(event: UsageEvent) -> tuple[str, str, str]:
    return day_of(event.time), event.grant, event.query_hash


class Standing:
    """The sums as of an event's number, for the month and day of one moment."""

    def __init__(self, db: sqlite3.Connection, upto: int, now: datetime) -> None:
        self._db = db
        self._asked = {
            "after": folded(db),
            "upto": upto,
            "month": f"{month_of(now)}-01",
            "day": day_of(now),
        }

    def totals(self) -> Iterator[Total]:
        """What each grant has used in the month and the day."""
        return map(Total._make, self._db.execute(_TOTALS, self._asked))

    def billable(self) -> Iterator[tuple[LineKey, int]]:
        """What each line of the month's bills counts so far."""
        for *key, billable in self._db.execute(_BILLABLE, self._asked):
            yield LineKey(*key), billable

    def queries(self) -> Iterator[tuple[str, str]]:
        """Which queries each grant has asked in the day."""
        yield from self._db.execute(_QUERIES, self._asked)
