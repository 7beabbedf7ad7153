"""What the office knows of the quality and no table of a warehouse holds: audited samples, repairs.

Counts alone, by month and city: no record, no person, no institution.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Subject: TypeAlias = Literal["audited_sample", "repair_hours"]
AUDITED: Final = "audited_sample"


@dataclass(frozen=True, order=True)
class Told:
    """A figure of one month and city: records coded alike of those coded twice, or hours until
    faults were mended of those that were."""

    name: Subject
    month: str
    city: str
    counted: int
    of: int


def quarter_of(month: str) -> str:
    """The quarter of a month: `2024-05` lies in `2024Q2`."""
    year, number = month.split("-")
    return f"{year}Q{(int(number) + 2) // 3}"


def audited_errors(told: Iterable[Told]) -> Mapping[tuple[str, str], float]:
    """The part coded differently by quarter and city, and with city "" of all cities together.

    A sample is drawn for a quarter: its months alone would be too few to tell anything.
    """
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for one in told:
        if one.name != AUDITED:
            continue
        for city in ("", one.city):
            key = (quarter_of(one.month), city)
            alike, coded = sums.get(key, (0, 0))
            sums[key] = alike + one.counted, coded + one.of
    return {key: 1 - alike / coded for key, (alike, coded) in sums.items() if coded}


def audited_error(told: Iterable[Told], months: Iterable[str]) -> float | None:
    """The largest part coded differently in the quarters that these months lie in."""
    errors = audited_errors(told)
    quarters = {quarter_of(month) for month in months}
    return max((errors[q, ""] for q in quarters if (q, "") in errors), default=None)
