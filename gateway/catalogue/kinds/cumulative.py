"""`cumulative`: a published figure added up over a value of a dim and all that follow it."""

from __future__ import annotations

from typing import Literal

from gateway.catalogue.kinds.base import Kind, Part


class Cumulative(Kind):
    """Σ of a published figure over the cell and its sisters with later values of the dim `along`.

    The values of `along` are bands in ascending order, so the sum over persons is how many reach
    the lower edge of the cell's band. One sister that is not published leaves the sum unknown; the
    same band on a coarser level of `along`, which joins the last bands, may have it.
    """

    kind: Literal["cumulative"]
    of: str
    along: str

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.of),)

    def phrase(self) -> str:
        return f"Σ {self.of} of this and all higher values of {self.along}"
