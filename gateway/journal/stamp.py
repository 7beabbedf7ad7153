"""The one place where a call gets its time and its event id.

Time never runs backwards for the journal: a clock that steps back (or a restart on a slow clock)
repeats the last moment. Ids are UUIDv7 and strictly rising, so they sort as they were stamped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

import uuid_utils

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_PER_MS = 4096
_NOISE = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """Identity and moment of one call."""

    event_id: str
    time: datetime


def uuid7(tick: int, noise: int) -> str:
    """UUIDv7 of a 60-bit tick (milliseconds × 4096) and 62 bits of noise."""
    millis, fraction = divmod(tick, _TICKS_PER_MS)
    value = (millis << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | noise
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(moment: datetime) -> str:
    """No event stamped at this moment or later has a smaller id."""
    return uuid7((moment - _EPOCH) // timedelta(milliseconds=1) * _TICKS_PER_MS, 0)


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
            micros = (self._last - _EPOCH) // timedelta(microseconds=1)
            self._tick = max(self._tick + 1, micros * _TICKS_PER_MS // 1000)
            # Random bits without a system call, which would let go of the interpreter each time.
            noise = uuid_utils.uuid4().int & _NOISE
            return Stamp(uuid7(self._tick, noise), self._last)
