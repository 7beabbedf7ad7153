"""`band`: a value of which only the band it lies in is told."""

from __future__ import annotations

from typing import Literal

from gateway.catalogue.kinds.base import Kind


class Banded(Kind):
    """A value published only as a band: edges are upper bounds, labels one more than edges."""

    kind: Literal["band"]
    fact: str
    stat: Literal["hhi_institution", "hhi_maker"]
    edges: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def source(self) -> str:
        return self.fact

    def phrase(self) -> str:
        return f"{self.stat} as {', '.join(self.labels)}"
