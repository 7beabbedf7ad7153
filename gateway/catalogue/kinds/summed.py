"""`sum`: a column of a fact added up."""

from __future__ import annotations

from typing import Literal

from gateway.catalogue.kinds.base import Kind


class Sum(Kind):
    """Σ of a fact's column. `count` and `person_time` round to the count base, `amount` to
    significant digits. A `person_time` column is in days and published in years of 365.25 days."""

    kind: Literal["sum"]
    fact: str
    column: str
    style: Literal["count", "amount", "person_time"]

    @property
    def source(self) -> str:
        return self.fact

    @property
    def sums(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def adds_up(self) -> bool:
        return True

    @property
    def of_insured(self) -> bool:
        return self.style == "person_time"

    def phrase(self) -> str:
        return f"Σ {self.column}, rounded as {self.style}"
