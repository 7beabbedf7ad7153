"""What a unit of a service costs on a day, by which published price.

Prices are never changed, only followed by others, and no day has two. A day without a price is not
free: nothing can be sold on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from metering.tariff import Tariff, most_micro


class PriceError(ValueError):
    """Prices that contradict each other; the message says which and why."""


@dataclass(frozen=True)
class Price:
    """One price, good from `valid_from` to `valid_to`, both days included."""

    ref: str
    tariff: Tariff
    valid_from: date
    valid_to: date

    def __post_init__(self) -> None:
        if self.valid_to < self.valid_from:
            raise PriceError(f"{self.ref} ends before it begins")


@dataclass(frozen=True)
class PriceList:
    """Prices of one unit, oldest first: make one by `price_list`."""

    prices: tuple[Price, ...]

    def named(self, ref: str) -> Price | None:
        """The price of a reference."""
        return next((price for price in self.prices if price.ref == ref), None)

    def on(self, day: date) -> Price | None:
        """The price of a day; without one nothing can be sold on it."""
        return next((one for one in self.prices if one.valid_from <= day <= one.valid_to), None)

    def most_micro(self, units: int) -> int:
        """The most that so many more units can cost by any of the prices."""
        return max((most_micro(price.tariff, units) for price in self.prices), default=0)


def price_list(prices: Iterable[Price]) -> PriceList:
    """A list in order of time; refuses two prices of one name, or for one day."""
    ordered = sorted(prices, key=lambda price: price.valid_from)
    if len({price.ref for price in ordered}) != len(ordered):
        raise PriceError("two prices have one reference")
    for earlier, later in pairwise(ordered):
        if later.valid_from <= earlier.valid_to:
            raise PriceError(f"{earlier.ref} and {later.ref} both hold on {later.valid_from}")
    return PriceList(tuple(ordered))
