"""A journal in one quick pass: either everything is as it was sealed, or somebody has to look.

Asks of every event what the walk in `verify` asks, and nothing else: where it vouches for a chain,
the walk has nothing to find. It names nothing; that is the walk's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

import orjson

from gateway.journal.archived import filled
from gateway.journal.checkpoint import Checkpoint
from gateway.journal.entry import canonical
from gateway.journal.reader import USAGE_COLUMNS
from metering.usage import FIELDS, time_of

_EVENTS = f"""
SELECT a.seq, a.request_id, a.body, a.prev_hash, a.hash, d.body, d.request_id, u.seq,
  {", ".join(f"u.{column}" for column in USAGE_COLUMNS.split(", "))}
FROM audit_event a LEFT JOIN decision d ON d.seq = a.seq LEFT JOIN usage_event u ON u.seq = a.seq
ORDER BY a.seq
"""
_CHARGED = "SELECT seq, place, cells FROM charged_cell ORDER BY seq, place"
_NO_MORE = (1 << 63, 0, b"")


class End(NamedTuple):
    """The end of a chain that is whole."""

    seq: int
    hash: bytes


def vouched(
    db: sqlite3.Connection,
    genesis: bytes,
    signed: Mapping[int, Checkpoint],
    in_flight: timedelta,
    met: Callable[[int, bytes], None],
) -> End | None:
    """The end of the chain where every event is as it was sealed and signed; None: look closer."""
    # What cannot be read, or is of another kind than we write, is for the walk to name.
    with suppress(sqlite3.Error, TypeError, ValueError, AttributeError):
        return _pass(db, genesis, signed, in_flight, met)
    return None


def _pass(
    db: sqlite3.Connection,
    genesis: bytes,
    signed: Mapping[int, Checkpoint],
    in_flight: timedelta,
    met: Callable[[int, bytes], None],
) -> End | None:
    charged = _Charged(db)
    seq, prev, latest = 0, genesis, ""
    for row in filled(db, db.execute(_EVENTS)):
        body, digest = row[2].encode(), row[4]
        if row[0] != seq + 1 or row[3] != prev or sha256(prev + body).digest() != digest:
            return None
        seq, prev = row[0], digest
        event = orjson.loads(body)
        if not _as_sealed(event, row) or charged.hash_of(seq) != event.get("charged_hash"):
            return None
        if seq in signed and signed[seq].hash != digest.hex():
            return None
        time = str(event.get("time"))
        if time < latest and time_of(time) < time_of(latest) - in_flight:
            return None
        latest = max(latest, time)
        met(seq, digest)
    return End(seq, prev)


def _as_sealed(event: Mapping[str, object], row: tuple[object, ...]) -> bool:
    """Whether number, request, decision and usage are those that the event was sealed with."""
    seq, request, _, _, _, decision, decided, used = row[:8]
    made = None if used is None else canonical(dict(zip(FIELDS, row[8:], strict=True)))
    return (
        event.get("seq") == seq
        and event.get("request_id") == request
        and (decided is None or decided == request)
        and _hash(None if decision is None else str(decision).encode())
        == event.get("decision_hash")
        and _hash(made) == event.get("usage_hash")
    )


def _hash(content: bytes | None) -> str | None:
    return None if content is None else sha256(content).hexdigest()


class _Charged:
    """Charged cells, as long as events are asked for in order. Those of no event are passed over:
    they are orphans, which `verify` looks for by itself."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._rows = db.execute(_CHARGED)
        self._next = self._rows.fetchone() or _NO_MORE

    def hash_of(self, seq: int) -> str | None:
        """The hash of what an event charged; None where that is nothing."""
        while self._next[0] < seq:
            self._next = self._rows.fetchone() or _NO_MORE
        if self._next[0] != seq:
            return None
        cells: dict[int, int] = {}
        while self._next[0] == seq:
            cells[self._next[1]] = int.from_bytes(self._next[2], "big")
            self._next = self._rows.fetchone() or _NO_MORE
        return _hash(orjson.dumps([[place, f"{cells[place]:x}"] for place in sorted(cells)]))
