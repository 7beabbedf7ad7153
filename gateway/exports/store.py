"""Jobs and their files on record: one SQLite file beside the journal, of the process that holds it.

A commit is on stable storage before it returns. A file's row is written after its usage event is,
so whatever can be found here may be fetched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

import orjson

from gateway.exports.model import FORMS, MOST_OPEN, Failure, File, Job, Sender, State
from gateway.journal.names import make_folder
from metering.usage import time_of, time_text

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS job (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, client TEXT NOT NULL, sender TEXT NOT NULL,
  service TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL, release TEXT NOT NULL,
  since TEXT, form TEXT NOT NULL, request TEXT NOT NULL, rows INTEGER NOT NULL,
  per_file INTEGER NOT NULL, begun TEXT NOT NULL, tag TEXT NOT NULL, meta BLOB NOT NULL,
  state TEXT NOT NULL,  ended TEXT, failure TEXT, worked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_of_client ON job (tenant, client, begun);
CREATE INDEX IF NOT EXISTS jobs_by_state ON job (state);
CREATE TABLE IF NOT EXISTS file (
  job TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE, number INTEGER NOT NULL,
  name TEXT NOT NULL, rows INTEGER NOT NULL, cells INTEGER NOT NULL, suppressed INTEGER NOT NULL,
  charged INTEGER NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, sm3 TEXT NOT NULL,
  tag TEXT NOT NULL, event_id TEXT NOT NULL, decision_id TEXT NOT NULL, terms TEXT NOT NULL,
  made TEXT NOT NULL, PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
"""
_JOB: Final = (
    "id, sender, service, body, digest, release, since, form, request, rows, per_file, begun, tag,"
    " meta, state, ended, failure"
)
_FILE: Final = ", ".join(each.name for each in fields(File))
_LISTED: Final = 100
_Row: TypeAlias = tuple[Any, ...]  # as SQLite gives the columns of a STRICT table


class Jobs:
    """Every job of this node. Safe from any thread."""

    def __init__(self, path: Path) -> None:
        make_folder(path.parent, 0o700)
        self._lock = Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "fullfsync=ON", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_TABLES)
        if "terms" not in {row[1] for row in self._db.execute("PRAGMA table_info(file)")}:
            # Of an earlier version, which did not write them down: its files are kept back.
            self._db.execute("ALTER TABLE file ADD COLUMN terms TEXT NOT NULL DEFAULT ''")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def add(self, job: Job) -> tuple[str, ...]:
        """Put a new job on record; or not, and name those open, where the client has too many."""
        with self._writing() as db:
            found = self._open_of(db, job.sender.tenant, job.sender.client)
            if job.state == "open" and len(found) >= MOST_OPEN:
                return found
            sender = job.sender
            row = (sender.tenant, sender.client, *_row(job))
            hole = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO job (tenant, client, {_JOB}) VALUES ({hole})", row)
        return ()

    def open_of(self, tenant: str, client: str) -> tuple[str, ...]:
        """The jobs a client has under way."""
        with self._lock:
            return self._open_of(self._db, tenant, client)

    def find(self, job_id: str) -> Job | None:
        """A job by its id, in any state."""
        with self._lock:
            row = self._db.execute(f"SELECT {_JOB} FROM job WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def of_client(self, tenant: str, client: str) -> list[Job]:
        """A client's jobs, newest first."""
        asked = f"SELECT {_JOB} FROM job WHERE tenant = ? AND client = ? ORDER BY begun DESC, id"
        with self._lock:
            rows = self._db.execute(f"{asked} LIMIT {_LISTED}", (tenant, client)).fetchall()
        return [_job(row) for row in rows]

    def last_release(self, sender: Sender, digest: str) -> str | None:
        """The release of the client's last job with this question that came to its end."""
        asked = (
            "SELECT release FROM job WHERE tenant = ? AND client = ? AND digest = ?"
            " AND failure IS NULL AND ended IS NOT NULL AND state IN ('done', 'expired')"
            " ORDER BY begun DESC LIMIT 1"
        )
        with self._lock:
            row = self._db.execute(asked, (sender.tenant, sender.client, digest)).fetchone()
        return None if row is None else str(row[0])

    def next_open(self) -> Job | None:
        """The open job that has waited longest for its turn; the turn is taken."""
        asked = f"SELECT {_JOB} FROM job WHERE state = 'open' ORDER BY worked, begun LIMIT 1"
        with self._writing() as db:
            row = db.execute(asked).fetchone()
            if row is None:
                return None
            turn = "UPDATE job SET worked = (SELECT max(worked) + 1 FROM job) WHERE id = ?"
            db.execute(turn, (row[0],))
        return _job(row)

    def files(self, job_id: str) -> list[File]:
        """What of a job can be fetched, in order."""
        asked = f"SELECT {_FILE} FROM file WHERE job = ? ORDER BY number"
        with self._lock:
            rows = self._db.execute(asked, (job_id,)).fetchall()
        return [_file(row) for row in rows]

    def file(self, job_id: str, name: str) -> File | None:
        """One file that can be fetched."""
        asked = f"SELECT {_FILE} FROM file WHERE job = ? AND name = ?"
        with self._lock:
            row = self._db.execute(asked, (job_id, name)).fetchone()
        return None if row is None else _file(row)

    def add_file(self, job_id: str, file: File) -> None:
        """From here on the file can be fetched."""
        row = (job_id, *astuple(file)[:-1], time_text(file.made))
        with self._writing() as db:
            hole = ", ".join("?" * len(row))
            db.execute(f"INSERT OR IGNORE INTO file (job, {_FILE}) VALUES ({hole})", row)

    def end(self, job_id: str, state: State, now: datetime, failure: Failure | None = None) -> bool:
        """End an open job; False where it had ended already."""
        told = None if failure is None else orjson.dumps([failure.code, *failure.deny]).decode()
        asked = "UPDATE job SET state = ?, ended = ?, failure = ? WHERE id = ? AND state = 'open'"
        with self._writing() as db:
            return db.execute(asked, (state, time_text(now), told, job_id)).rowcount == 1

    def put_away(self, job_id: str, state: State) -> None:
        """The files of an ended job can no longer be fetched."""
        with self._writing() as db:
            db.execute("DELETE FROM file WHERE job = ?", (job_id,))
            db.execute("UPDATE job SET state = ? WHERE id = ?", (state, job_id))

    def forget(self, job_id: str) -> None:
        """Nothing is known of the job any more."""
        with self._writing() as db:
            db.execute("DELETE FROM job WHERE id = ?", (job_id,))

    def all(self) -> list[Job]:
        """Every job on record."""
        with self._lock:
            rows = self._db.execute(f"SELECT {_JOB} FROM job").fetchall()
        return [_job(row) for row in rows]

    @staticmethod
    def _open_of(db: sqlite3.Connection, tenant: str, client: str) -> tuple[str, ...]:
        asked = (
            "SELECT id FROM job WHERE tenant = ? AND client = ? AND state = 'open' ORDER BY begun"
        )
        return tuple(row[0] for row in db.execute(asked, (tenant, client)))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _row(job: Job) -> tuple[object, ...]:
    """The columns of a job, in the order of `_JOB`."""
    ended = None if job.ended is None else time_text(job.ended)
    sender = orjson.dumps(astuple(job.sender)).decode()
    asked = (job.service, job.body, job.digest, job.release, job.since, job.form.name, job.request)
    made = (job.rows, job.per_file, time_text(job.begun), job.tag, job.meta)
    return (job.id, sender, *asked, *made, job.state, ended, None)


def _job(row: _Row) -> Job:
    id_, sender, service, body, digest, release, since, form, request, *rest = row
    rows, per_file, begun, tag, meta, state, ended, failure = rest
    return Job(
        id_,
        Sender(*orjson.loads(sender)),
        service,
        body,
        digest,
        release,
        since,
        FORMS[form],
        request,
        rows,
        per_file,
        time_of(begun),
        tag,
        meta,
        state,
        None if ended is None else time_of(ended),
        None if failure is None else _failure(failure),
    )


def _failure(text: str) -> Failure:
    code, *deny = orjson.loads(text)
    return Failure(code, tuple(deny))


def _file(row: _Row) -> File:
    values: list[Any] = [*row[:-1], time_of(row[-1])]
    return File(*values)
