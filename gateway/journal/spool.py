"""The SQLite file: batches of entries become rows in one transaction, sealed in sequence.

Synchronous and used by one thread at a time (`group.GroupCommit` owns that thread).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.journal import schema
from gateway.journal.entry import Entry
from gateway.journal.names import make_folder
from gateway.journal.port import JournalBusy, JournalConflict, JournalRejected, JournalUnavailable
from gateway.journal.reader import identity
from gateway.journal.seal import Sealed, genesis, seal
from metering.usage import time_text

_MARKS = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
_AUDIT = "INSERT INTO audit_event (seq, request_id, body, prev_hash, hash) VALUES (?, ?, ?, ?, ?)"
_DECISION = "INSERT INTO decision (seq, request_id, body) VALUES (?, ?, ?)"
_USAGE = (
    "INSERT INTO usage_event (seq, event_id, request_id, decision_id, grant_id, tenant, service,"
    " version, release, unit, qty, billable_qty, repeat_of, price_ref, price_micro, providers_ref,"
    f" purpose, query_hash, page, time) VALUES ({_MARKS})"
)
_CHARGED = (
    "INSERT INTO charged_cell (tenant, release, place, seq, event_id, time, cells)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)

_STANDS = (
    "SELECT 1 FROM charged_cell WHERE tenant = ? AND release = ? AND place = ? AND event_id = ?"
)


class _RestsOnNothing(Exception):
    """Cells are free because of an answer that was not recorded after all."""


# One entry's own fault: the unique key, a check, or a value that JSON or SQLite cannot hold.
_FAULTY = (sqlite3.IntegrityError, TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the last event's number, hash and time text (empty: none yet)."""

    seq: int
    hash: bytes
    time: str


class Spool:
    """The journal file, held exclusively by this process until `close` or death."""

    def __init__(self, path: Path, journal_id: str, created: str) -> None:
        make_folder(path.parent)
        self.path = path
        self._lock = _hold(path)
        try:
            self._db = schema.connect(path)
            schema.create(self._db, journal_id, created)
            self.journal_id, made = identity(self._db)
            self.genesis = genesis(self.journal_id, made)
            self.head = self._read_head()
        except BaseException:
            self._lock.close()
            raise

    def append(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Make entries durable in one transaction; per entry, None or why that one was refused.

        Raises sqlite3.Error when nothing of the batch can be promised. After that, `reopen`.
        """
        try:
            self._commit(entries)
        except (*_FAULTY, _RestsOnNothing):
            self._rollback()
            return self._append_singly(entries)
        return [None] * len(entries)

    def reopen(self, now: str) -> None:
        """A fresh connection and a probe written through to the disk: healthy again.

        Whether a commit that failed is in the file after all is read back, not guessed.
        """
        self._db.close()
        self._db = schema.connect(self.path)
        self._db.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (now,))
        self.head = self._read_head()

    def close(self) -> None:
        """Close the file and let others have it. Harmless twice."""
        self._db.close()
        self._lock.close()

    def _commit(self, entries: Sequence[Entry]) -> None:
        sealed = self._seal(entries)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(_AUDIT, [one.audit for one in sealed])
        self._db.executemany(_DECISION, [one.decision for one in sealed if one.decision])
        self._db.executemany(_USAGE, [one.usage for one in sealed if one.usage])
        self._db.executemany(_CHARGED, [row for one in sealed for row in one.charged])
        for entry in entries:
            self._check_ground(entry)
        self._db.execute("COMMIT")
        self.head = _after(entries, sealed)

    def _check_ground(self, entry: Entry) -> None:
        """What an entry rests on stands before it in the journal or in the same batch."""
        for place, event_id in entry.rests_on:
            whose = (entry.usage.tenant, entry.usage.release) if entry.usage else ("", "")
            if self._db.execute(_STANDS, (*whose, place, event_id)).fetchone() is None:
                raise _RestsOnNothing

    def _seal(self, entries: Sequence[Entry]) -> list[Sealed]:
        seq, prev = self.head.seq, self.head.hash
        sealed = []
        for entry in entries:
            seq += 1
            one = seal(entry, seq, prev)
            prev = one.hash
            sealed.append(one)
        return sealed

    def _append_singly(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Each entry stands or falls alone: one bad entry must not cost its neighbours."""
        outcomes: list[Exception | None] = []
        for entry in entries:
            try:
                self._commit([entry])
            except _FAULTY:
                self._rollback()
                outcomes.append(self._why_refused(entry))
            except _RestsOnNothing:
                self._rollback()
                outcomes.append(_not_free_after_all())
            else:
                outcomes.append(None)
        return outcomes

    def _why_refused(self, entry: Entry) -> Exception | None:
        """None when the very same entry is already recorded: repeating it is harmless."""
        try:
            row = self._db.execute(
                "SELECT seq, body, prev_hash FROM audit_event WHERE request_id = ?",
                (entry.request_id,),
            ).fetchone()
            if row is None:
                return JournalRejected()
            seq, body, prev = row
            return None if seal(entry, seq, prev).audit[2] == body else JournalConflict()
        except (TypeError, ValueError, OverflowError):
            return JournalRejected()

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _read_head(self) -> Head:
        row = self._db.execute(
            "SELECT seq, hash, time FROM audit_event ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        return Head(0, self.genesis, "") if row is None else Head(*row)


def _not_free_after_all() -> JournalUnavailable:
    return JournalUnavailable(
        "repeat_failed", "The call that this one repeats was not recorded; try again."
    )


def _after(entries: Sequence[Entry], sealed: Sequence[Sealed]) -> Head:
    last = sealed[-1]
    return Head(last.seq, last.hash, time_text(entries[-1].time))


class _Lock:
    """A lock file the kernel releases when its process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _hold(path: Path) -> _Lock:
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace") or "unknown"
        os.close(descriptor)
        raise JournalBusy(str(path), holder) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return _Lock(descriptor)
