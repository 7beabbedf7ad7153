"""The journal's tables, and connections that keep its promises.

`synchronous=FULL` in WAL mode syncs the log at every commit: what was committed survives a power
cut (NORMAL would lose the last commits). `psow=0` fills the log up to a sector's end at every
commit: otherwise the next commit begins in the sector where the last one ends, and a cut while that
sector is being written may take the acknowledged end with it. `fullfsync` asks macOS to flush the
drive's own cache; elsewhere it changes nothing. A disk or hypervisor that lies about flushing is
beyond any database.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.journal import standing, tree
from gateway.journal.port import JournalDamaged, JournalRead

FORMAT = 1
APPLICATION_ID = 0x534C4A31  # "SLJ1": tells a journal from any other SQLite file

# Columns computed from `body` cannot disagree with it. usage_event keeps real columns: it has one
# fixed form, and a statement must be recomputable from it with plain SQL.
TABLES = """
CREATE TABLE journal (
  id TEXT NOT NULL, created TEXT NOT NULL, format INTEGER NOT NULL
) STRICT;
CREATE TABLE probe (id INTEGER PRIMARY KEY, time TEXT NOT NULL) STRICT;
CREATE TABLE audit_event (
  seq INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  prev_hash BLOB NOT NULL,
  hash BLOB NOT NULL,
  time TEXT GENERATED ALWAYS AS (json_extract(body, '$.time')) VIRTUAL,
  kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.kind')) VIRTUAL,
  result TEXT GENERATED ALWAYS AS (json_extract(body, '$.result')) VIRTUAL,
  tenant TEXT GENERATED ALWAYS AS (json_extract(body, '$.tenant')) VIRTUAL,
  grant_id TEXT GENERATED ALWAYS AS (json_extract(body, '$.grant')) VIRTUAL,
  service TEXT GENERATED ALWAYS AS (json_extract(body, '$.service')) VIRTUAL,
  cells INTEGER GENERATED ALWAYS AS (json_extract(body, '$.cells')) VIRTUAL
) STRICT;
CREATE TABLE decision (
  seq INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  decision_id TEXT GENERATED ALWAYS AS (json_extract(body, '$.decision_id')) VIRTUAL,
  allow INTEGER GENERATED ALWAYS AS (json_extract(body, '$.allow')) VIRTUAL
) STRICT;
CREATE TABLE usage_event (
  seq INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  request_id TEXT NOT NULL UNIQUE,
  decision_id TEXT NOT NULL,
  grant_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  service TEXT NOT NULL,
  version TEXT NOT NULL,
  release TEXT NOT NULL,
  unit TEXT NOT NULL,
  qty INTEGER NOT NULL CHECK (qty >= 0),
  billable_qty INTEGER NOT NULL CHECK (billable_qty BETWEEN 0 AND qty),
  repeat_of TEXT CHECK (repeat_of IS NULL OR billable_qty = 0),
  price_ref TEXT NOT NULL,
  price_micro INTEGER NOT NULL CHECK (price_micro >= 0),
  providers_ref TEXT NOT NULL,
  purpose TEXT NOT NULL,
  query_hash TEXT NOT NULL,
  page TEXT NOT NULL,
  time TEXT NOT NULL,
  month TEXT GENERATED ALWAYS AS (strftime('%Y-%m', time, '+8 hours')) VIRTUAL
) STRICT;
CREATE INDEX usage_of_tenant ON usage_event (tenant, time);
CREATE INDEX refusals_of_tenant ON audit_event (tenant, time) WHERE result = 'refused';
"""

# Made on opening where they are missing. `charged_cell` is kept by what is looked up: has this
# tenant been charged for cells of this release at these places?
ADDED = """
CREATE TABLE IF NOT EXISTS charged_cell (
  tenant TEXT NOT NULL,
  release TEXT NOT NULL,
  place INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  time TEXT NOT NULL,
  cells BLOB NOT NULL,
  PRIMARY KEY (tenant, release, place, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reads_of_subject ON audit_event (json_extract(body, '$.subject'), seq)
  WHERE json_extract(body, '$.subject') IS NOT NULL;
CREATE INDEX IF NOT EXISTS decision_by_id ON decision (decision_id);
CREATE INDEX IF NOT EXISTS charged_by_event ON charged_cell (seq);
CREATE INDEX IF NOT EXISTS audit_listing ON audit_event
  (json_extract(body, '$.event_id'), kind, result, tenant, service);
"""

# No evidence, so rows go when they have expired; not before, by the journal's own time.
KEYS = """
CREATE TABLE IF NOT EXISTS idempotency (
  tenant TEXT NOT NULL, client TEXT NOT NULL, key BLOB NOT NULL,
  request_hash BLOB NOT NULL, seq INTEGER NOT NULL, event_id TEXT NOT NULL,
  answer_digest BLOB NOT NULL, release TEXT NOT NULL,
  qty INTEGER NOT NULL, billable_qty INTEGER NOT NULL,
  time TEXT NOT NULL, expires TEXT NOT NULL,
  PRIMARY KEY (tenant, client, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_by_event ON idempotency (seq);
CREATE INDEX IF NOT EXISTS keys_by_end ON idempotency (expires);
CREATE TRIGGER IF NOT EXISTS idempotency_no_update BEFORE UPDATE ON idempotency
BEGIN SELECT raise(ABORT, 'a key keeps its request'); END;
CREATE TRIGGER IF NOT EXISTS idempotency_not_yet BEFORE DELETE ON idempotency
WHEN old.expires > (SELECT time FROM audit_event ORDER BY seq DESC LIMIT 1)
BEGIN SELECT raise(ABORT, 'the key has not expired'); END;
"""
ALSO = f"{ADDED} {KEYS} {standing.TABLES} {tree.TABLES}"

_APPEND_ONLY = """
CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table}
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table}
BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
"""

WRITING = "psow=0"  # SQLite's words: the disk has no "powersafe overwrite"
OPENING, BUSY = 30.0, 2.0
"""Seconds to wait for a lock: at a start, when somebody may be recovering the file or reading what
a crash left; and later, when nobody else should be in the way."""
LASTING = ("journal", "audit_event", "decision", "usage_event", "charged_cell")


def connect(path: Path, *, patience: float = OPENING) -> sqlite3.Connection:
    """A writing connection on which a commit is a sync. Refuses where that cannot be had.

    `patience`: seconds to wait for others who recover or read the file; 0 when this process goes on
    with a file that it has been writing."""
    place = f"{path.absolute().as_uri()}?{WRITING}"
    db = sqlite3.connect(
        place,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=patience or BUSY,
        cached_statements=256,  # the spool's insertions, for every number of rows
    )
    try:
        mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        lasting = ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON")
        # 16 MB of log before it is moved into the database: pages that every commit changes (the
        # ends of tables and indexes) move once for four times as many commits.
        for pragma in (*lasting, "wal_autocheckpoint=4000"):
            db.execute(f"PRAGMA {pragma}")
        # After a crash SQLite writes on right behind the last commit, whose filling may be torn: in
        # that commit's own sector. So what is in the log moves into the database before anything is
        # written, and the log begins anew.
        held, left, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if held and left and patience:
            raise JournalRead(str(path))
        db.execute(f"PRAGMA busy_timeout={BUSY * 1000:.0f}")
        # Makes INSERT OR REPLACE fire the delete trigger too.
        db.execute("PRAGMA recursive_triggers=ON")
        level = db.execute("PRAGMA synchronous").fetchone()[0]
        if (mode, level) != ("wal", 2):
            raise JournalDamaged(f"{path}: the file system offers no durable write-ahead log")
    except JournalRead:
        db.close()
        raise
    except sqlite3.DatabaseError as error:
        db.close()
        raise JournalDamaged(f"{path} is not a journal: {error}") from error
    return db


def create(db: sqlite3.Connection, journal_id: str, created: str) -> None:
    """Make the tables if this is a new file, else check that they are ours."""
    marked = db.execute("PRAGMA application_id").fetchone()[0]
    if marked == APPLICATION_ID:
        later = "".join(
            _APPEND_ONLY.format(table=table) for table in ("charged_cell", *tree.LASTING)
        )
        db.executescript(f"BEGIN; {ALSO} {later} COMMIT;")
        return
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise JournalDamaged("the file is another program's database; the journal needs its own")
    triggers = "".join(_APPEND_ONLY.format(table=table) for table in (*LASTING, *tree.LASTING))
    db.executescript(f"BEGIN; {TABLES} {ALSO} {triggers} PRAGMA application_id={APPLICATION_ID};")
    db.execute("INSERT INTO journal VALUES (?, ?, ?)", (journal_id, created, FORMAT))
    db.execute("COMMIT")


def connect_reading(path: Path, *, shared: bool = False) -> sqlite3.Connection:
    """A connection that cannot write; usable while the server runs. `shared` between threads: the
    caller sees to it that they take turns."""
    if not path.is_file():
        raise JournalDamaged(f"there is no journal at {path}")
    place = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=not shared)
    try:
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalDamaged(f"{path} is not a journal")
    except sqlite3.DatabaseError as error:
        db.close()
        raise JournalDamaged(f"{path} cannot be read: {error}") from error
    return db
