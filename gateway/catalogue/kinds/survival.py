"""`survival` and `proportion`: how long something lasts, and means of what lies from 0 to 1."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import OfRecords


class Survival(OfRecords):
    """Kaplan-Meier estimate that a time exceeds `at` days, or a limit of its 95 % interval.

    Each record is twice its days, and one more where it was followed no longer without an event,
    so that a record is one number and events come before what is censored on their day. The
    interval is Greenwood's, within 0 and 1; all is told to two decimals. Answered where k records
    are still followed on the day, and, below 100 records, where it lies between .1 and .9.
    """

    kind: Literal["survival"]
    at: int = Field(gt=0)
    part: Literal["point", "low", "high"]

    def phrase(self) -> str:
        what = {"point": "estimate", "low": "lower 95 % limit", "high": "upper 95 % limit"}
        return f"Kaplan-Meier {what[self.part]} of {self.column} beyond {self.at} days (Greenwood)"


class Proportion(OfRecords):
    """Mean of a per-record column from 0 to 1, told to two decimals, of k records or more.

    With `both_sides` the column is 0 or 1: told where k records have it and k have not.
    """

    kind: Literal["proportion"]
    both_sides: bool = False

    def phrase(self) -> str:
        if self.both_sides:
            return f"share of records with {self.column}, of those with and without it k each"
        return f"mean of {self.column}"
