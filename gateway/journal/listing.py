"""Audit events by their ids, newest first: a page at a time, of a million as of a hundred.

One index has what is asked by, in the order of the ids; so a page is a walk along it, and what is
rare (one alarm among a million calls) is found without reading a body on the way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from heapq import nlargest

import asyncpg

from gateway.db.office_journal import Listed, Sought
from gateway.journal.reader import identity

_ID = "json_extract(body, '$.event_id')"
_LISTED = f"""
SELECT {_ID} AS id, a.seq, a.body, a.prev_hash, a.hash, d.body
FROM audit_event AS a LEFT JOIN decision AS d ON d.seq = a.seq
WHERE a.seq IN (SELECT seq FROM audit_event WHERE %s ORDER BY {_ID} DESC LIMIT ?)
""".replace(_ID, "json_extract(a.body, '$.event_id')", 1)
_STORED_ID = "(body::json ->> 'event_id')"
# The same event may be in two chains of the store (see `gateway.journal.direct_start`); so twice
# as many are read as are wanted.
_STORED = f"""
SELECT c.id, c.journal_id, c.seq, a.body, a.prev_hash, a.hash, d.body AS decision
FROM (SELECT {_STORED_ID} AS id, journal_id, seq FROM audit_event WHERE %s
  ORDER BY {_STORED_ID} DESC LIMIT %s) AS c
JOIN audit_event AS a USING (journal_id, seq) LEFT JOIN decision AS d USING (journal_id, seq)
"""


def listed(db: sqlite3.Connection, sought: Sought, most: int) -> list[Listed]:
    """The newest events of one journal that are sought."""
    where, values = [f"{_ID} > ''"], list[object]()
    for condition, value in _conditions(sought, _ID).items():
        where.append(f"{condition} ?")
        values.append(value)
    journal = identity(db)[0]
    rows = db.execute(_LISTED % " AND ".join(where), (*values, most)).fetchall()
    return [
        Listed(event_id, journal, seq, body, prev.hex(), digest.hex(), decision)
        for event_id, seq, body, prev, digest, decision in rows
    ]


def stored(sought: Sought, most: int) -> tuple[str, tuple[object, ...]]:
    """The same question for the central store: a statement and its values."""
    asked = _conditions(sought, _STORED_ID)
    where = [f"{condition} ${number}" for number, condition in enumerate(asked, start=1)]
    return _STORED % (" AND ".join(where) or "true", f"${len(where) + 1}"), (
        *asked.values(),
        2 * most,
    )


def of_store(row: asyncpg.Record) -> Listed:
    """A row of the central store."""
    links = (row["prev_hash"].hex(), row["hash"].hex())
    return Listed(row["id"], row["journal_id"], row["seq"], row["body"], *links, row["decision"])


def newest(found: Iterable[Listed], most: int) -> list[Listed]:
    """The newest of events of several chains, each once."""
    once = {one.event_id: one for one in found}
    return nlargest(most, once.values(), key=lambda one: one.event_id)


def _conditions(sought: Sought, event_id: str) -> dict[str, object]:
    """What must hold, as columns with their comparisons."""
    asked: dict[str, object] = {f"{name} =": value for name, value in sought.equal().items()}
    if sought.before:
        asked[f"{event_id} <"] = sought.before
    if sought.since:
        asked[f"{event_id} >="] = sought.since
    if sought.request:
        asked["request_id ="] = sought.request
    return asked
