"""`trend`: whether a published figure rose or fell against three months before."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part

LABELS = ("falling", "steady", "rising")


class Trend(Kind):
    """The published figure of the cell against that of the period three months before.

    A change of up to `margin` in either direction is steady. Months are compared with the third
    month before, quarters with the quarter before; a year has no such period.
    """

    kind: Literal["trend"]
    of: str
    margin: Decimal = Field(gt=0)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.of),)

    @property
    def late(self) -> bool:
        return True

    def phrase(self) -> str:
        return f"{self.of} against three months before: {', '.join(LABELS)} (±{self.margin})"
