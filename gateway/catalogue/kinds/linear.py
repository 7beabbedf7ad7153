"""`linear`: published figures added and subtracted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part


class Linear(Kind):
    """Σ coefficient × measure, from the published (rounded) parts of the same cell.

    Whoever has the parts can work it out, so it tells nothing more than they do.
    """

    kind: Literal["linear"]
    terms: dict[str, int] = Field(min_length=1)

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(name) for name in self.terms)

    def phrase(self) -> str:
        texts = [f"{_signed(factor)}{name}" for name, factor in self.terms.items()]
        return " ".join(texts).removeprefix("+ ")


def _signed(factor: int) -> str:
    sign = "+ " if factor >= 0 else "− "
    return sign if abs(factor) == 1 else f"{sign}{abs(factor)} × "
