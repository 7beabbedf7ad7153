"""`quantile`: a percentile of a per-record column."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import OfRecords


class Quantile(OfRecords):
    """The `p`-th percentile of a per-record column, by SPEC §4.3.7."""

    kind: Literal["quantile"]
    p: int = Field(gt=0, lt=100)

    def phrase(self) -> str:
        return f"percentile {self.p} of {self.column}, mean of neighbouring values"
