"""`share`: what part of a measure falls to some values of a dim."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part


class Share(Kind):
    """Σ of `of` in the cells with `dim` at one of `values`, over Σ at one of `among`.

    Every part is the published figure of a published cell, so a share tells nothing that its parts
    would not; where one part is not shown, neither is the share.
    """

    kind: Literal["share"]
    of: str
    dim: str
    values: tuple[str, ...] = Field(min_length=1)
    among: tuple[str, ...] = Field(min_length=1)
    decimals: int = Field(default=4, ge=0, le=6)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.of),)

    def phrase(self) -> str:
        part, whole = ", ".join(self.values), ", ".join(self.among)
        return f"{self.of} of {self.dim} {part} ÷ that of {whole}"
