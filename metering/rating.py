"""From usage to charges: cells accrue over a month, units and fen are rounded once per line, here.

Two steps, so that the order and the cutting of the input cannot matter: `accrue` adds up (a sum,
`merge` joins partial sums), `charge` prices what was accrued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from metering.tariff import MICRO_PER_FEN, Free, PerUnit, Tariff, units_of
from metering.usage import UsageEvent


@dataclass(frozen=True, order=True)
class LineKey:
    """What one charge line is about. A price that changes inside a month makes two lines."""

    month: str
    tenant: str
    grant: str
    service: str
    unit: str
    price_ref: str
    price_micro: int

    @property
    def line_id(self) -> str:
        """Stable name of the line: the same key gives the same id in every run."""
        text = "\x1f".join(
            (self.month, self.tenant, self.grant, self.service, self.unit, self.price_ref)
        )
        digest = hashlib.sha256(f"{text}\x1f{self.price_micro}".encode()).hexdigest()
        return f"{self.month}-{self.service}-{digest[:16]}"


@dataclass(frozen=True)
class Accrual:
    """What came together under one key; adds up in any order."""

    answers: int = 0
    qty: int = 0
    billable: int = 0
    repeated: int = 0

    def __add__(self, other: Accrual) -> Accrual:
        return Accrual(
            self.answers + other.answers,
            self.qty + other.qty,
            self.billable + other.billable,
            self.repeated + other.repeated,
        )


@dataclass(frozen=True)
class ChargeLine:
    """One line of a month: what was used, how many units that is, and the amount in fen."""

    line_id: str
    key: LineKey
    used: Accrual
    units: int
    amount_fen: int


Accruals: TypeAlias = Mapping[LineKey, Accrual]
Pricing: TypeAlias = Callable[[LineKey], Tariff]
"""By which tariff a line is charged."""


def key_of(event: UsageEvent) -> LineKey:
    """The line an event belongs to."""
    return LineKey(
        event.month,
        event.tenant,
        event.grant,
        event.service,
        event.unit,
        event.price_ref,
        event.price_micro,
    )


def accrue(events: Iterable[UsageEvent]) -> dict[LineKey, Accrual]:
    """Sums per line. Events must be distinct (`metering.usage.distinct`, or a unique key)."""
    sums: dict[LineKey, Accrual] = {}
    for event in events:
        key = key_of(event)
        one = Accrual(1, event.qty, event.billable_qty, event.qty - event.billable_qty)
        sums[key] = sums.get(key, Accrual()) + one
    return sums


def merge(first: Accruals, second: Accruals) -> dict[LineKey, Accrual]:
    """The accruals of both inputs together."""
    return {
        key: first.get(key, Accrual()) + second.get(key, Accrual()) for key in {**first, **second}
    }


def less_repeated(accruals: Accruals, cells: Mapping[LineKey, int]) -> dict[LineKey, Accrual]:
    """The accruals, with so many cells of some lines not to be charged: they were before. A line
    gives back what it charges at most, which only a forged journal comes to."""
    back = {
        key: min(many, accruals[key].billable) for key, many in cells.items() if key in accruals
    }
    return merge(accruals, {key: Accrual(0, 0, -many, many) for key, many in back.items()})


def with_commitments(accruals: Accruals, committed: Iterable[LineKey]) -> dict[LineKey, Accrual]:
    """The accruals, and a line of no use for every commitment of which nothing was used."""
    return {**{key: Accrual() for key in committed}, **accruals}


def stamped_price(key: LineKey) -> Tariff:
    """The price each event was stamped with when it was answered."""
    return Free() if key.unit == "free" else PerUnit(key.price_micro)


def charge(accruals: Accruals, price: Pricing = stamped_price) -> tuple[ChargeLine, ...]:
    """The month's lines in a fixed order; begun units count whole, fen are rounded half up."""
    return tuple(_line(key, accruals[key], price(key)) for key in sorted(accruals))


def _line(key: LineKey, used: Accrual, tariff: Tariff) -> ChargeLine:
    units = units_of(key.unit, used.billable)
    return ChargeLine(key.line_id, key, used, units, _fen(tariff, units))


def amount_fen(key: LineKey, billable: int, tariff: Tariff) -> int:
    """What a line with so much to be charged comes to."""
    return _fen(tariff, units_of(key.unit, billable))


def _fen(tariff: Tariff, units: int) -> int:
    return (2 * tariff.charge(units) + MICRO_PER_FEN) // (2 * MICRO_PER_FEN)


def rate(events: Iterable[UsageEvent], price: Pricing = stamped_price) -> tuple[ChargeLine, ...]:
    """Usage to charge lines."""
    return charge(accrue(events), price)
