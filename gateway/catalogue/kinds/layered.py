"""`layer`: what an insurer of one layer pays, from persons and amounts by band."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part


class Layered(Kind):
    """Σ min(max(x − lower edge, 0), width of the band) over persons with a yearly total of x.

    From published figures alone: `amount` is the cell's Σ x, `persons` its persons, and `reached`
    how many reach the lower edge (a `cumulative` of `persons`). Persons above the band fill it,
    those in it have their amount less the edge. `lower` gives the edge of each band along the dim
    `along`, in units of the amount; the last band of a level is open above.
    """

    kind: Literal["layer"]
    amount: str
    persons: str
    reached: str
    along: str
    lower: dict[str, int] = Field(min_length=2)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.amount), Part(self.persons), Part(self.reached))

    def phrase(self) -> str:
        return (
            f"{self.amount} − lower edge of {self.along} × {self.persons}"
            f" + width × ({self.reached} − {self.persons})"
        )


class Excess(Kind):
    """Mean excess over the lower edge of the cell's band: `amount` ÷ `reached` − edge.

    `amount` and `reached` are cumulative figures: what all have who reach the edge, and how many
    they are.
    """

    kind: Literal["excess"]
    amount: str
    reached: str
    along: str
    lower: dict[str, int] = Field(min_length=2)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.amount), Part(self.reached))

    def phrase(self) -> str:
        return f"{self.amount} ÷ {self.reached} − lower edge of {self.along}"
