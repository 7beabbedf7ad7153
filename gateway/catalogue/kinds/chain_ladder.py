"""`chain_ladder` and `increment`: how far a period's care is settled after so many months."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.kinds.base import Kind, OfRecords, Part


class Increment(OfRecords):
    """Σ of a per-record column, rounded as an amount, where the records are of k persons."""

    kind: Literal["increment"]

    def phrase(self) -> str:
        return f"Σ {self.column} where it is of k persons, rounded as amount"


class ChainLadder(Kind):
    """Share of a period's amount that is settled within `delay` months after it began.

    `of` are the amounts settled in the month of origin, one month later and so on: published-grade
    figures, and what is not open counts as nothing. Development factors are weighted by volume,
    Σ of what is settled by month d + 1 ÷ Σ by month d, over all periods up to the row's own that
    had so many months by the end of it; each needs `months` months of origin. The share is the
    product of the factors' inverses up to the last of `of`, which counts as complete. Only periods
    of `least` published `persons` are read, so that what few have later, being hidden, weighs
    little.
    """

    kind: Literal["chain_ladder"]
    of: tuple[str, ...] = Field(min_length=2)
    persons: str
    least: int = Field(default=500, ge=500)
    delay: int = Field(ge=0)
    months: int = Field(default=24, ge=24)
    decimals: int = Field(default=4, ge=0, le=4)

    @model_validator(mode="after")
    def _delay_is_before_the_last(self) -> Self:
        if self.delay >= len(self.of) - 1 or len(set(self.of)) < len(self.of):
            raise ValueError("the delay is below the last of the amounts, which all differ")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(name) for name in (*self.of, self.persons))

    @property
    def late(self) -> bool:
        return True

    def phrase(self) -> str:
        return (
            f"chain-ladder over at least {self.months} months of origin, volume-weighted:"
            f" settled by month {self.delay} of delay ÷ by month {len(self.of) - 1}"
        )
