"""`gap`: how far apart are two accounts that should agree."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part


class Gap(Kind):
    """A difference over what it is a difference from, told up to ± `most`: what lies further off
    is told as that end.

    So whatever a ledger is held against, its figures say that it agrees, or by how little it does
    not, and beyond that nothing.
    """

    kind: Literal["gap"]
    difference: str
    of: str
    most: Decimal = Field(default=Decimal("0.01"), gt=0, le=Decimal("0.05"))
    decimals: int = Field(default=4, ge=0, le=6)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.difference), Part(self.of))

    def phrase(self) -> str:
        return f"{self.difference} ÷ {self.of}, told from −{self.most} to {self.most}"
