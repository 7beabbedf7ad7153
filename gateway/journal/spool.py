"""The SQLite file: batches of entries become rows in one transaction, sealed in sequence.

Synchronous and used by one thread at a time (`group.GroupCommit` owns that thread).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.journal import recording, schema, standing
from gateway.journal.entry import Entry, Row
from gateway.journal.ground import Ground
from gateway.journal.names import make_folder
from gateway.journal.port import (
    JournalBusy,
    JournalConflict,
    JournalRejected,
    JournalUnavailable,
    KeyTaken,
)
from gateway.journal.reader import identity
from gateway.journal.seal import Sealed, genesis, seal, seal_all
from gateway.journal.standing import NOTHING_DIRECT, Folding
from gateway.journal.tree import SqliteTree
from metering.usage import time_text

_UNSURE = "INSERT OR IGNORE INTO unsure VALUES (?)"
_EXPIRED = "DELETE FROM idempotency WHERE tenant = ? AND client = ? AND key = ? AND expires <= ?"
_KEYED = f"INSERT INTO idempotency VALUES ({', '.join('?' * 12)})"
_KEY = "SELECT event_id FROM idempotency WHERE tenant = ? AND client = ? AND key = ?"

_TRIES = 5


class RestsOnNothing(Exception):
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
            recording.begin(self._db)
            self.journal_id, made = identity(self._db)
            self.genesis = genesis(self.journal_id, made)
            self.created = made
            self.head = self._read_head()
            self.ground = Ground()
        except BaseException:
            self._lock.close()
            raise

    def append(
        self, entries: Sequence[Entry], unsure: Sequence[str] = ()
    ) -> list[Exception | None]:
        """Make entries durable in one transaction; per entry, None or why that one was refused.

        `unsure` are events that the central store may have as well. Raises sqlite3.Error when
        nothing of the batch can be promised. After that, `reopen`.
        """
        try:
            self._commit(entries, unsure)
        except (*_FAULTY, RestsOnNothing):
            self._rollback()
            return self._append_singly(entries, unsure)
        return [None] * len(entries)

    def fold(self, direct: Folding = NOTHING_DIRECT, *, complete: bool = False) -> None:
        """Bring the sums of `standing` up to the head, and to the central store's `direct`."""
        standing.fold(self._db, self.head.seq, self.head.time, direct, complete=complete)

    @property
    def tree(self) -> SqliteTree:
        """The tree over this chain, on the connection of the moment."""
        return SqliteTree(self._db)

    def unsure(self) -> list[str]:
        """Events of this file that the central store may have as well."""
        return [row[0] for row in self._db.execute("SELECT event_id FROM unsure")]

    def reopen(self, now: str) -> None:
        """A fresh connection and a probe written through to the disk: healthy again.

        Whether a commit that failed is in the file after all is read back, not guessed.
        """
        self._db.close()
        self._db = schema.connect(self.path, patience=0)
        recording.begin(self._db)
        self._db.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (now,))
        self.head = self._read_head()

    def close(self) -> None:
        """Close the file and let others have it. Harmless twice."""
        self._db.close()
        self._lock.close()

    def _commit(self, entries: Sequence[Entry], unsure: Sequence[str] = ()) -> None:
        if not self.ground.bears(entries):
            raise RestsOnNothing
        sealed = seal_all(entries, self.head.seq, self.head.hash)
        keys = [one.keyed for one in sealed if one.keyed is not None]
        first, *more = recording.statements(sealed)
        if more or keys or unsure:
            self._db.execute("BEGIN IMMEDIATE")
            for statement in (first, *more):
                self._db.execute(*statement)
            self._add(keys, unsure)
            self._db.execute("COMMIT")
        else:  # a transaction of its own, synced before the call returns
            self._db.execute(*first)
        self.head = after(entries, sealed)
        self.ground.add(entries)

    def _add(self, keys: Sequence[Row], unsure: Sequence[str]) -> None:
        """What few events have, in the transaction that is open."""
        for row in keys:
            self._db.execute(_EXPIRED, (*row[:3], row[10]))
            self._db.execute(_KEYED, row)
        self._db.executemany(_UNSURE, [(event_id,) for event_id in unsure])

    def _append_singly(
        self, entries: Sequence[Entry], unsure: Sequence[str]
    ) -> list[Exception | None]:
        """Each entry stands or falls alone: one bad entry must not cost its neighbours."""
        outcomes: list[Exception | None] = []
        for entry in entries:
            try:
                self._commit([entry], [entry.event_id] if entry.event_id in unsure else ())
            except _FAULTY:
                self._rollback()
                outcomes.append(self._why_refused(entry))
            except RestsOnNothing:
                self._rollback()
                outcomes.append(not_free_after_all())
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
                return KeyTaken() if self._key_taken(entry) else JournalRejected()
            seq, body, prev = row
            return None if seal(entry, seq, prev).audit[2] == body else JournalConflict()
        except (TypeError, ValueError, OverflowError):
            return JournalRejected()

    def _key_taken(self, entry: Entry) -> bool:
        """Whether another answer was recorded under the key of this one."""
        row = seal(entry, 1, b"").keyed
        found = None if row is None else self._db.execute(_KEY, row[:3]).fetchone()
        return found is not None and found[0] != entry.event_id

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _read_head(self) -> Head:
        row = self._db.execute(
            "SELECT seq, hash, time FROM audit_event ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        return Head(0, self.genesis, "") if row is None else Head(*row)


def not_free_after_all() -> JournalUnavailable:
    return JournalUnavailable(
        "repeat_failed", "The call that this one repeats was not recorded; try again."
    )


def after(entries: Sequence[Entry], sealed: Sequence[Sealed]) -> Head:
    """The head once a batch is recorded."""
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
        _take(descriptor)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace") or "unknown"
        os.close(descriptor)
        raise JournalBusy(str(path), holder) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return _Lock(descriptor)


def _take(descriptor: int) -> None:
    """Take the lock; who only looks whether it is held has it for a moment."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.05)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
