"""A waiver for warehouses that were invented by hand, of which nobody expects good quality."""

from __future__ import annotations

from datetime import UTC, date, datetime

from gateway.quality.waiver import KPIS, Waiver

RULES = tuple(f"R{number:02d}" for number in range(1, 26))


def invented(reason: str = "invented records") -> tuple[Waiver, ...]:
    """Everything waived for all time, by two invented people."""
    signed = datetime(2024, 1, 1, tzinfo=UTC)
    waiver = Waiver(
        id="W-0000000000",
        covers=(*KPIS, *RULES),
        first="2000-01",
        last="2099-12",
        reason=reason,
        until=date(2099, 12, 31),
        proposed_by="数据官甲",
        proposed_at=signed,
        state="signed",
        signed_by="测试乙二",
        signed_at=signed,
    )
    return (waiver,)


INVENTED = invented()
