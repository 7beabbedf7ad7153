"""What an answer delivers and what of it is charged: visible cells, once in thirty days."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.policy.port import TariffRule
from gateway.serving.render import Table

HIDDEN = frozenset({"s", "c"})
FREE_OF_CHARGE = HIDDEN | {"z"}


@dataclass(frozen=True)
class Delivery:
    """One page as the books see it."""

    rows: int
    cells: int  # delivered: neither suppressed nor structurally zero
    suppressed: int
    unit: str
    page: str
    repeat_of: str | None

    @property
    def charged(self) -> int:
        """A repeat within thirty days is free."""
        return 0 if self.repeat_of else self.cells


def deliver(table: Table, tariff: TariffRule, page: str, repeat_of: str | None) -> Delivery:
    """Count a page; suppressed cells and structural zeros cost nothing."""
    flags = [flag for column in table.flags.values() for flag in column]
    return Delivery(
        rows=table.rows,
        cells=sum(flag not in FREE_OF_CHARGE for flag in flags),
        suppressed=sum(flag in HIDDEN for flag in flags),
        unit="free" if tariff.free else tariff.unit,
        page=page,
        repeat_of=repeat_of,
    )
