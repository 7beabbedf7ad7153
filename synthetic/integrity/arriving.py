"""Timeliness day by day: on which days records came late, and whose (SPEC §9.1: feeder, day).

The month's figure decides about releases; the days tell when it happened. Only settlements made in
real time are looked at, as for the month.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from synthetic.integrity.counting import IN_TIME_MINUTES, REAL_TIME
from synthetic.integrity.kpis import ALL
from synthetic.integrity.placing import Connection

LEAST: Final = 100
"""Settlements a day is judged by at least. Of twenty, two late ones would fail it: with one in a
hundred late, which is allowed, such days fail by chance alone; of a hundred it takes six."""

_DAYS = f"""
CREATE TEMP TABLE arrival_day AS
SELECT setl_time::DATE AS day, coalesce(o.feeder, '') AS feeder, count(*) AS settlements,
  count_if(late > {60 * IN_TIME_MINUTES}) AS late, quantile_disc(late / 60.0, 0.95) AS minutes
FROM (SELECT *, date_diff('second', setl_time, crte_time) AS late FROM setl_d
  WHERE {REAL_TIME}) AS s
JOIN feeder_of AS o ON o.institution = s.fixmedins_code
GROUP BY GROUPING SETS ((1, o.feeder), (1))"""


@dataclass(frozen=True)
class Day:
    """What arrived of one day, all feeders together."""

    day: date
    settlements: int
    late: int
    minutes: float

    @property
    def judged(self) -> bool:
        """Whether there is enough to judge it by."""
        return self.settlements >= LEAST

    @property
    def failed(self) -> bool:
        """Whether the 95th percentile came later than it may."""
        return self.judged and self.minutes > IN_TIME_MINUTES

    def as_dict(self) -> dict[str, object]:
        """The day for machines."""
        return {
            "day": self.day.isoformat(),
            "settlements": self.settlements,
            "late": self.late,
            "minutes": round(self.minutes, 2),
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Punctual:
    """The days of one feeder: how many could be judged, how many failed, which was the worst."""

    feeder: str
    judged: int
    failed: int
    worst: date
    minutes: float

    def as_dict(self) -> dict[str, object]:
        """The feeder for machines."""
        return {
            "feeder": self.feeder,
            "days": self.judged,
            "failed": self.failed,
            "worst": self.worst.isoformat(),
            "minutes": round(self.minutes, 2),
        }


def measure_days(connection: Connection) -> None:
    """Make the table `arrival_day`: every day and feeder, and all feeders together."""
    connection.execute(_DAYS)


def read_days(connection: Connection) -> tuple[Day, ...]:
    """The days in order, all feeders together."""
    rows = connection.execute(
        "SELECT day, settlements, late, minutes FROM arrival_day WHERE feeder = '' ORDER BY day"
    ).fetchall()
    return tuple(Day(day, int(n), int(late), float(p95)) for day, n, late, p95 in rows)


def read_punctuality(connection: Connection) -> tuple[Punctual, ...]:
    """The feeders that have days to be judged, those with most failing days first."""
    rows = connection.execute(
        f"SELECT feeder, count(*), count_if(minutes > {IN_TIME_MINUTES}) AS failed,"
        " arg_max(day, (minutes, day)), max(minutes) FROM arrival_day"
        f" WHERE feeder <> '{ALL}' AND settlements >= {LEAST}"
        " GROUP BY feeder ORDER BY failed DESC, feeder"
    ).fetchall()
    return tuple(
        Punctual(feeder, int(judged), int(failed), worst, float(minutes))
        for feeder, judged, failed, worst, minutes in rows
    )


def failing_days(days: Iterable[Day]) -> Mapping[str, int]:
    """How many days of each month failed."""
    found: dict[str, int] = {}
    for one in days:
        month = f"{one.day:%Y-%m}"
        found[month] = found.get(month, 0) + one.failed
    return found
