"""Days and months of account: boundaries are Chinese civil time (UTC+8) on every server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

CHINA = timezone(timedelta(hours=8), "UTC+08:00")


def day_of(time: datetime) -> str:
    """The day of account a moment belongs to, `YYYY-MM-DD`."""
    return _hour_of(time).day


def month_of(time: datetime) -> str:
    """The month of account a moment belongs to, `YYYY-MM`."""
    return _hour_of(time).day[:7]


def month_begins(time: datetime) -> datetime:
    """The first instant of the month of account that `time` lies in."""
    return _hour_of(time).month_begins


def day_begins(time: datetime) -> datetime:
    """The first instant of the day of account that `time` lies in."""
    return _hour_of(time).day_begins


class _Hour(NamedTuple):
    """An hour of UTC, which lies in one day of account as the two differ by whole hours."""

    day: str
    day_begins: datetime
    month_begins: datetime


def _hour_of(time: datetime) -> _Hour:
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return _hour(utc.year, utc.month, utc.day, utc.hour)


@lru_cache(maxsize=4096)  # a request asks several times, and all of an hour have the same answer
def _hour(year: int, month: int, day: int, hour: int) -> _Hour:
    local = datetime(year, month, day, hour, tzinfo=UTC).astimezone(CHINA)
    begins = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return _Hour(local.isoformat()[:10], begins, begins.replace(day=1))


def month_range(month: str) -> tuple[datetime, datetime]:
    """First instant of a month `YYYY-MM` and of the month after it."""
    begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=CHINA)
    return begins, month_begins(begins + timedelta(days=31))


def month_after(month: str) -> str:
    """The month after a month `YYYY-MM`."""
    return month_of(month_range(month)[1])
