"""Keeping the audit for five years: hot for half a year, then in sealed files, then gone.

`archive` moves what is older than the hot time out of a journal, a segment at a time: it checks the
segment's chain, writes its events and a signed manifest, reads both back, and only then takes the
bodies out of the journal, whose triggers let nothing else go. Killed at any instant, it goes on
where it was. `expire` removes files that are older than the retention; the hashes stay, so the
chain of what is kept still follows from its beginning.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.audit.segment import (
    HOT,
    RETENTION,
    SEGMENT,
    Checked,
    Listed,
    Manifest,
    check_segments,
    write_segment,
)
from gateway.journal import archived
from gateway.journal.archived import Archived, file_of, folder_of
from gateway.journal.reader import first_since, identity
from gateway.journal.schema import connect
from metering.usage import time_of, time_text

AT_ONCE: Final = 1_000
"""Bodies taken out in one transaction: so long a serving process waits at most."""
# `recorded` is what the journal itself holds for the last moment: nobody archives by a wrong clock.
_GUARDS: Final = """
DROP TRIGGER IF EXISTS audit_event_no_update;
CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event WHEN NOT coalesce(
  new.seq = old.seq AND new.request_id = old.request_id AND new.prev_hash = old.prev_hash
  AND new.hash = old.hash AND json_extract(new.body, '$.archived') =
    (SELECT name FROM archive WHERE old.seq BETWEEN first AND last), 0)
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
DROP TRIGGER IF EXISTS decision_no_update;
CREATE TRIGGER decision_no_update BEFORE UPDATE ON decision WHEN NOT coalesce(
  new.seq = old.seq AND new.request_id = old.request_id
  AND json_extract(new.body, '$.archived') =
    (SELECT name FROM archive WHERE old.seq BETWEEN first AND last), 0)
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS archive_hot BEFORE INSERT ON archive WHEN
  coalesce((SELECT time FROM audit_event WHERE seq = new.last) >=
  (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', time, '-{days} days') FROM audit_event
   ORDER BY seq DESC LIMIT 1), 1)
  OR new.first != coalesce((SELECT max(last) FROM archive), 0) + 1 OR new.expired IS NOT NULL
BEGIN SELECT raise(ABORT, 'the hot part is not archived'); END;
CREATE TRIGGER IF NOT EXISTS archive_no_update BEFORE UPDATE ON archive WHEN NOT coalesce(
  new.first = old.first AND new.last = old.last AND new.name = old.name
  AND new.sha256 = old.sha256 AND old.expired IS NULL AND new.expired IS NOT NULL, 0)
BEGIN SELECT raise(ABORT, 'the archive is append-only'); END;
CREATE TRIGGER IF NOT EXISTS archive_no_delete BEFORE DELETE ON archive
BEGIN SELECT raise(ABORT, 'the archive is append-only'); END;
"""
_EVENTS: Final = """
SELECT a.seq, a.request_id, hex(a.prev_hash), hex(a.hash), a.body, d.body
FROM audit_event a LEFT JOIN decision d ON d.seq = a.seq
WHERE a.seq BETWEEN ? AND ? ORDER BY a.seq
"""
_LISTED: Final = """
SELECT r.first, r.last, r.name, r.sha256, r.expired, lower(hex(f.prev_hash)), lower(hex(l.hash))
FROM archive r LEFT JOIN audit_event f ON f.seq = r.first LEFT JOIN audit_event l ON l.seq = r.last
ORDER BY r.first
"""


def archive(journal: Path, key: Ed25519PrivateKey, now: datetime) -> list[Manifest]:
    """Move everything older than the hot time out of a journal; gives what was moved now.

    Works beside a serving process. OperatorError (`archive.damaged`) where the chain of a segment
    does not hold: what was changed is not packed away as if it were true.
    """
    with closing(connect(journal, patience=0)) as db:
        db.executescript(f"BEGIN; {archived.TABLE} {_GUARDS.format(days=HOT.days)} COMMIT;")
        for first, last, name in db.execute("SELECT first, last, name FROM archive").fetchall():
            _take_out(db, folder_of(journal), name, first, last)  # what a kill has left
        end = first_since(db, min(now, _newest(db)) - HOT) - 1
        begin = db.execute("SELECT coalesce(max(last), 0) FROM archive").fetchone()[0] + 1
        made = []
        for first in range(begin, end + 1, SEGMENT):
            made.append(_pack(db, journal, key, first, min(first + SEGMENT - 1, end)))
        return made


def expire(journal: Path, now: datetime) -> list[str]:
    """Remove the files of segments older than the retention; gives their names."""
    with closing(connect(journal, patience=0)) as db:
        if not archived.is_archived(db):
            return []
        gone = list[str]()
        over = "SELECT name FROM archive WHERE expired IS NOT NULL"
        for (name,) in db.execute(over).fetchall():  # what a kill has left
            file_of(folder_of(journal), name).unlink(missing_ok=True)
        asked = "SELECT first, last, name FROM archive WHERE expired IS NULL ORDER BY first"
        for first, last, name in db.execute(asked).fetchall():
            (time,) = db.execute("SELECT time FROM audit_event WHERE seq = ?", (last,)).fetchone()
            if time_of(time) > min(now, _newest(db)) - RETENTION:
                break
            said = (time_text(now), first)
            db.execute("UPDATE archive SET expired = ? WHERE first = ?", said)
            file_of(folder_of(journal), name).unlink(missing_ok=True)
            gone.append(name)
        return gone


def check_archive(journal: Path, db: sqlite3.Connection, key: Ed25519PublicKey) -> Checked:
    """What is wrong with the archive of a journal, and which of its events are gone for good."""
    if not archived.is_archived(db):
        return Checked()
    listed = [
        Listed(first, last, name, digest, expired is not None, prev, hashed)
        for first, last, name, digest, expired, prev, hashed in db.execute(_LISTED)
    ]
    return check_segments(folder_of(journal), identity(db)[0], listed, _newest(db), key)


def _newest(db: sqlite3.Connection) -> datetime:
    """When the journal's last event was stamped; long ago where there is none."""
    asked = "SELECT time FROM audit_event WHERE time IS NOT NULL ORDER BY seq DESC LIMIT 1"
    row = db.execute(asked).fetchone()
    return time_of(row[0]) if row else datetime.min.replace(tzinfo=UTC) + RETENTION


def _pack(
    db: sqlite3.Connection, journal: Path, key: Ed25519PrivateKey, first: int, last: int
) -> Manifest:
    events = [
        Archived(seq, request, prev.lower(), digest.lower(), body, decision)
        for seq, request, prev, digest, body, decision in db.execute(_EVENTS, (first, last))
    ]
    made = write_segment(folder_of(journal), identity(db)[0], key, events)
    row = (made.first, made.last, made.name, made.sha256)
    db.execute("INSERT INTO archive (first, last, name, sha256) VALUES (?, ?, ?, ?)", row)
    _take_out(db, folder_of(journal), made.name, first, last)
    return made


def _take_out(db: sqlite3.Connection, folder: Path, name: str, first: int, last: int) -> None:
    """Leave stubs of the events of a segment that is safely in its file."""
    left = "SELECT count(*) FROM audit_event WHERE seq BETWEEN ? AND ? AND body NOT LIKE ?"
    if not db.execute(left, (first, last, '{"archived":%')).fetchone()[0]:
        return
    bodies, decided = [], []
    for one in archived.read_segment(folder, name):
        bodies.append((archived.stub_of(name, one.body), one.seq))
        if one.decision is not None:
            decided.append((archived.decision_stub(name, one.decision), one.seq))
    for table, stubs in (("decision", decided), ("audit_event", bodies)):
        for at in range(0, len(stubs), AT_ONCE):
            db.execute("BEGIN IMMEDIATE")
            part = stubs[at : at + AT_ONCE]
            db.executemany(f"UPDATE {table} SET body = ? WHERE seq = ?", part)
            db.execute("COMMIT")
