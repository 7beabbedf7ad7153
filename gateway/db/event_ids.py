"""Ids of events: UUIDv7 that rise with the moment they were stamped, so that events of all chains
sort by their ids alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKS_PER_MS = 4096


def tick_of(moment: datetime) -> int:
    """The 60-bit tick (milliseconds × 4096) of a moment."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * TICKS_PER_MS // 1000


def uuid7(tick: int, noise: int) -> str:
    """UUIDv7 of a tick and 62 bits of noise."""
    millis, fraction = divmod(tick, TICKS_PER_MS)
    value = (millis << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | noise
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def tick_in(event_id: str) -> int:
    """The tick that `uuid7` put into an id."""
    digits = event_id.replace("-", "")
    return int(digits[:12], 16) * TICKS_PER_MS + int(digits[13:16], 16)


def first_id(moment: datetime) -> str:
    """No event stamped at this moment or later has a smaller id."""
    return uuid7((moment - _EPOCH) // timedelta(milliseconds=1) * TICKS_PER_MS, 0)
