"""Days and months of account: boundaries are Chinese civil time (UTC+8) on every server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "UTC+08:00")


def day_of(time: datetime) -> str:
    """The day of account a moment belongs to, `YYYY-MM-DD`."""
    return time.astimezone(CHINA).isoformat()[:10]


def month_of(time: datetime) -> str:
    """The month of account a moment belongs to, `YYYY-MM`."""
    return time.astimezone(CHINA).isoformat()[:7]


def month_begins(time: datetime) -> datetime:
    """The first instant of the month of account that `time` lies in."""
    local = time.astimezone(CHINA)
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def day_begins(time: datetime) -> datetime:
    """The first instant of the day of account that `time` lies in."""
    return time.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)


def month_range(month: str) -> tuple[datetime, datetime]:
    """First instant of a month `YYYY-MM` and of the month after it."""
    begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=CHINA)
    return begins, month_begins(begins + timedelta(days=31))


def month_after(month: str) -> str:
    """The month after a month `YYYY-MM`."""
    return month_of(month_range(month)[1])
