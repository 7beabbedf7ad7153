"""`cv`: how much a per-record column varies."""

from __future__ import annotations

from typing import Literal

from gateway.catalogue.kinds.base import OfRecords


class Variation(OfRecords):
    """Coefficient of variation SD ÷ mean of a per-record column after trimming outliers; needs
    `min_n` records (SPEC §4.3.6)."""

    kind: Literal["cv"]
    min_n: int = 30

    def phrase(self) -> str:
        return f"SD ÷ mean of {self.column}, at least {self.min_n} records"
