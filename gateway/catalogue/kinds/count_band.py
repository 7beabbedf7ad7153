"""`count_band`: how many institutions stand behind a cell, as a band."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.kinds.base import Kind


class CountBand(Kind):
    """The band in which the number of distinct institutions of the cell lies.

    `edges` are the last counts of all bands but the highest, labels one more than edges.
    """

    kind: Literal["count_band"]
    fact: str
    edges: tuple[int, ...] = Field(min_length=1)
    labels: tuple[str, ...]

    @model_validator(mode="after")
    def _bands_are_whole(self) -> Self:
        if len(self.labels) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges ascend, and there is one label more than edges")
        return self

    @property
    def source(self) -> str:
        return self.fact

    def phrase(self) -> str:
        return f"distinct institutions as {', '.join(self.labels)}"
