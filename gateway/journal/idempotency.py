"""Idempotency keys: a call repeated under its key is answered again, and counted once.

A key belongs to a client of a tenant; only hashes of key and request are kept. Its row is written
in the transaction of the answer: there is no answer without its key, no key without its answer.
Refused and failed calls keep no key: whoever repeats them is judged anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from gateway.journal.entry import Keyed
from metering.usage import time_of

KEPT = timedelta(hours=72)

_FIND = """
SELECT request_hash, event_id, answer_digest, release, qty, billable_qty, expires
FROM idempotency WHERE tenant = ? AND client = ? AND key = ?
"""


@dataclass(frozen=True, slots=True)
class KeyName:
    """One client's key."""

    tenant: str
    client: str
    key: bytes

    def row(self) -> tuple[str, str, bytes]:
        """As it is looked up."""
        return self.tenant, self.client, self.key


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was answered under a key: of which request, as which event, and what it was charged."""

    request: bytes
    event_id: str
    answer: bytes
    release: str
    qty: int
    billable_qty: int
    expires: datetime


def key_name(tenant: str, client: str, key: str) -> KeyName:
    """The name of a key as a client sent it."""
    return KeyName(tenant, client, hashlib.sha256(key.encode()).digest())


def keyed(name: KeyName, request: bytes, answer: bytes, now: datetime) -> Keyed:
    """What is kept with an answer given at `now`."""
    return Keyed(name.client, name.key, request, answer, now + KEPT)


def find(db: sqlite3.Connection, name: KeyName) -> Remembered | None:
    """What a journal remembers under a key, expired or not."""
    row = db.execute(_FIND, name.row()).fetchone()
    if row is None:
        return None
    request, event_id, answer, release, qty, billable, expires = row
    return Remembered(request, event_id, answer, release, qty, billable, time_of(expires))


class InFlight:
    """The keys that this process is answering. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: set[KeyName] = set()

    def take(self, name: KeyName) -> bool:
        """Whether nobody else is answering it; then `release` it in the end."""
        with self._lock:
            if name in self._names:
                return False
            self._names.add(name)
            return True

    def release(self, name: KeyName) -> None:
        with self._lock:
            self._names.discard(name)
