"""`ratio`: one published figure over another."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part


class Ratio(Kind):
    """`scale × num ÷ (divisor × den)`, from the published (rounded) parts.

    `over` names dims rolled up in the denominator (a share inside the parent cell; on a
    hierarchy axis the next coarser level); `lag_years` takes the denominator from the same
    period that many years earlier (growth when `minus_one`).
    """

    kind: Literal["ratio"]
    num: str
    den: str
    scale: int = 1
    divisor: int = 1
    decimals: int = Field(default=4, ge=0, le=6)
    over: tuple[str, ...] = ()
    lag_years: int = 0
    minus_one: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.num), Part(self.den, self.over))

    @property
    def late(self) -> bool:
        return self.lag_years != 0

    @property
    def takes_late(self) -> bool:
        return not self.over

    def phrase(self) -> str:
        factor = f"{self.scale} × " if self.scale != 1 else ""
        return f"{factor}{self.num} ÷ {self._denominator()}"

    def _denominator(self) -> str:
        text = f"({self.divisor} × {self.den})" if self.divisor != 1 else self.den
        if self.over:
            text += f" of the cell without {', '.join(self.over)}"
        if self.lag_years:
            text += f" {self.lag_years} year before"
        return text + (" − 1" if self.minus_one else "")
