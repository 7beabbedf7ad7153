"""`average`: the mean of a per-record column, or how many records it is of."""

from __future__ import annotations

from typing import Literal

from gateway.catalogue.kinds.base import OfRecords


class Average(OfRecords):
    """Mean of a per-record column to significant digits, or (`part` n) the number of its records.

    Answered where the records are of k persons and none has more than half of their sum.
    """

    kind: Literal["average"]
    part: Literal["mean", "n"] = "mean"

    def phrase(self) -> str:
        if self.part == "n":
            return f"records with {self.column}, rounded as count"
        return f"mean of {self.column} over its records"
