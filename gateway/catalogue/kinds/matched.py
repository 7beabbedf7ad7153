"""`matched_effect`: what a programme changed, against matched comparators, before and after."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind

_SAID = {
    "estimate": "difference in differences: mean change of the programme's persons less that of"
    " their matched comparators",
    "low": "lower end of the 95 % interval, bootstrap over matched sets",
    "high": "upper end of the 95 % interval, bootstrap over matched sets",
    "relative": "the difference in % of what would have been without it",
    "relative_low": "lower end of the 95 % interval of the difference in %",
    "relative_high": "upper end of the 95 % interval of the difference in %",
    "smd": "standardised mean difference of the arms before",
    "programme": "persons of the programme in matched sets, rounded as count",
    "comparator": "their comparators, rounded as count",
}


class MatchedEffect(Kind):
    """One part of a matched before-and-after comparison.

    The fact has one row per person of a cell, with the columns `set_no` (the matched set),
    `treated` (1 the programme's person of the set, 0 a comparator), `before` and `after` (the
    outcome). Such a figure adds up over nothing, so its cells name all of `dims`. It is answered
    where both arms have `min_arm` persons at least, and rounded to steps no finer than half its
    standard error, its interval outwards: one person more or less does not show.
    """

    kind: Literal["matched_effect"]
    fact: str
    part: Literal[
        "estimate", "low", "high", "relative", "relative_low", "relative_high",
        "smd", "programme", "comparator",
    ]  # fmt: skip
    dims: tuple[str, ...] = Field(min_length=1)
    min_arm: int = Field(default=50, ge=50)
    resamples: Literal[999, 1999, 3999] = 1999
    seed: int = Field(default=1, ge=0)

    @property
    def source(self) -> str:
        return self.fact

    @property
    def records(self) -> tuple[str, ...]:
        return ("set_no", "treated", "before", "after")

    @property
    def needs(self) -> tuple[str, ...]:
        return self.dims

    def phrase(self) -> str:
        return (
            f"{_SAID[self.part]}; both arms of {self.min_arm} persons at least,"
            f" in cells that name {', '.join(self.dims)}"
        )
