"""When an hour is over: everything that happened in it has arrived, as far as can be known.

Each journal says up to when it is complete; the earliest of these moments is the watermark. An hour
is closed once the watermark is past its end and some lateness. What comes for it afterwards is
counted as late and added up all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from metering.calendar import month_range

LATENESS: Final = timedelta(minutes=15)
_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def watermark(marks: Mapping[str, datetime]) -> datetime | None:
    """Up to when everything has arrived; None where there is nothing to go by."""
    return min(marks.values(), default=None)


def hour_of(time: datetime) -> int:
    """The number of the hour that a moment lies in, from 1970 on."""
    return (time - _EPOCH) // _HOUR


def hour_begins(hour: int) -> datetime:
    """The first instant of an hour."""
    return _EPOCH + hour * _HOUR


def closed_hours(mark: datetime | None) -> int:
    """The first hour that is not closed at a watermark."""
    return 0 if mark is None else hour_of(mark - LATENESS)


def hours_of(month: str) -> tuple[int, int]:
    """The first hour of a month of account, and the first one after it."""
    begins, ends = month_range(month)
    return hour_of(begins), hour_of(ends)
