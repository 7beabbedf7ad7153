"""When a counter begins anew: with the bureau's day or month, which the key names."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil

from metering.calendar import CHINA, day_of, month_of, month_range

_DAY = len("2026-11-22")


def day_window(now: datetime) -> str:
    """The running day, `YYYY-MM-DD`."""
    return day_of(now)


def month_window(now: datetime) -> str:
    """The running month, `YYYY-MM`."""
    return month_of(now)


@lru_cache(maxsize=64)
def begins(window: str) -> datetime:
    """The first moment of a day or month."""
    if len(window) == _DAY:
        return datetime.fromisoformat(window).replace(tzinfo=CHINA)
    return month_range(window)[0]


@lru_cache(maxsize=64)
def ends(window: str) -> datetime:
    """The first moment after a day or month."""
    if len(window) == _DAY:
        return datetime.fromisoformat(window).replace(tzinfo=CHINA) + timedelta(days=1)
    return month_range(window)[1]


@lru_cache(maxsize=64)
def seconds(window: str) -> int:
    """How long a day or month is."""
    if len(window) == _DAY:
        return 86_400
    begins, after = month_range(window)
    return int((after - begins).total_seconds())


def seconds_left(window: str, now: datetime) -> int:
    """Whole seconds until it is over; a wait of so many leads into the next one."""
    return max(0, ceil((ends(window) - now).total_seconds()))
