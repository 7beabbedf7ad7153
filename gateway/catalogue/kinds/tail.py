"""`pareto` and `top_share`: what the largest records of a cell are like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import OfRecords


class Pareto(OfRecords):
    """Pareto tail of a per-record column, by Hill's estimator over the largest records.

    The threshold is the smallest number of two significant digits that at most `tail_per_mille`
    of the records exceed; α = n ÷ Σ ln(x ÷ threshold) over the n records above it. Answered in
    cells of at least `min_n` records of which at least 30 lie above it. No largest value is told.
    """

    kind: Literal["pareto"]
    part: Literal["alpha", "threshold", "n"]
    tail_per_mille: int = Field(default=10, gt=0, le=100)
    min_n: int = Field(default=500, ge=500)

    def phrase(self) -> str:
        return (
            f"Pareto fit of {self.column} ({self.part}) above the largest"
            f" {self.tail_per_mille} of 1000, at least {self.min_n} records"
        )


class TopShare(OfRecords):
    """Share of the largest `percent` of records in the sum of all, to two decimals.

    Answered where these are k or more and none has more than half of what they have together.
    """

    kind: Literal["top_share"]
    percent: int = Field(default=1, gt=0, lt=100)

    def phrase(self) -> str:
        return f"share of the largest {self.percent} % of {self.column} in their sum"
