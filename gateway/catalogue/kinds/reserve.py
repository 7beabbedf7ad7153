"""`reserve`: how many months a balance would last."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.catalogue.kinds.base import Kind, Part


class Reserve(Kind):
    """A balance over the monthly mean of an expenditure in the twelve months that end with the
    period; both as published. Where one of the months is not shown, nor is the reserve."""

    kind: Literal["reserve"]
    balance: str
    expenditure: str
    decimals: int = Field(default=1, ge=0, le=4)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.balance), Part(self.expenditure))

    @property
    def late(self) -> bool:
        return True

    def phrase(self) -> str:
        return f"{self.balance} ÷ monthly mean of {self.expenditure} over the last 12 months"
