"""Finding decisions in the journal: one by an id, or the last ones in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.journal.schema import connect_reading

FIND = """
SELECT d.body, a.body FROM decision AS d LEFT JOIN audit_event AS a ON a.seq = d.seq
WHERE d.decision_id = :id OR d.request_id = :id LIMIT 1
"""
_FIRST = "SELECT seq FROM decision ORDER BY seq DESC LIMIT 1 OFFSET ?"
_LAST_TIMED = """
SELECT coalesce(a.time, ''), d.body FROM decision AS d LEFT JOIN audit_event AS a ON a.seq = d.seq
WHERE d.seq >= ? ORDER BY d.seq
"""
_LAST = "SELECT body FROM decision WHERE seq >= ? ORDER BY seq"


def find_decision(journal: Path, name: str) -> tuple[str, str | None] | None:
    """The decision of this id, or of the request of this id, and the audit event recorded with
    it; looked up in an index."""
    with closing(connect_reading(journal)) as db:
        row = db.execute(FIND, {"id": name}).fetchone()
    return None if row is None else (row[0], row[1])


def last_decisions(db: sqlite3.Connection, number: int) -> Iterator[str]:
    """The last decisions, oldest first; read one by one."""
    row = db.execute(_FIRST, (max(0, number - 1),)).fetchone()
    for (body,) in db.execute(_LAST, (row[0] if row else 0,)):
        yield body


def last_timed(db: sqlite3.Connection, number: int) -> Iterator[tuple[str, str]]:
    """The last decisions with the times of their calls, oldest first."""
    row = db.execute(_FIRST, (max(0, number - 1),)).fetchone()
    yield from db.execute(_LAST_TIMED, (row[0] if row else 0,))


def count_decisions(db: sqlite3.Connection) -> int:
    """How many decisions there are."""
    (count,) = db.execute("SELECT count(*) FROM decision").fetchone()
    return int(count)
