"""The one place where a call gets its time and its event id.

Time never runs backwards for the journal: a clock that steps back (or a restart on a slow clock)
repeats the last moment. Ids are UUIDv7 and strictly rising, so they sort as they were stamped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import uuid_utils

from gateway.db.event_ids import tick_of, uuid7

_NOISE = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """Identity and moment of one call."""

    event_id: str
    time: datetime


class Stamper:
    """Stamps calls of one process; `last` is the latest moment already in the journal."""

    def __init__(self, last: datetime) -> None:
        self._lock = Lock()
        self._last = last
        self._tick = 0

    def not_before(self, last: datetime) -> None:
        """A moment was recorded that was not known of."""
        with self._lock:
            self._last = max(self._last, last)

    def stamp(self, now: datetime) -> Stamp:
        """A new id and max(last, now)."""
        with self._lock:
            self._last = max(self._last, now)
            self._tick = max(self._tick + 1, tick_of(self._last))
            # Random bits without a system call, which would let go of the interpreter each time.
            noise = uuid_utils.uuid4().int & _NOISE
            return Stamp(uuid7(self._tick, noise), self._last)
