"""`quantile`: a percentile of a per-record column."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind


class Quantile(Kind):
    """The `p`-th percentile of a per-record column, by SPEC §4.3.7."""

    kind: Literal["quantile"]
    fact: str
    column: str
    p: int = Field(gt=0, lt=100)

    @property
    def source(self) -> str:
        return self.fact

    @property
    def records(self) -> tuple[str, ...]:
        return (self.column,)

    def phrase(self) -> str:
        return f"percentile {self.p} of {self.column}, mean of neighbouring values"
