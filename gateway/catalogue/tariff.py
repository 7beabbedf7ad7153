"""What an answer is counted in and costs: the service's published prices, one for each day.

A price is approved with the policy edition it is part of (two people), and stays on the list for as
long as anything was charged by it. A day without a price is refused, never free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.frozen import Frozen
from metering.prices import Price, PriceList, price_list
from metering.rating import LineKey, stamped_price
from metering.tariff import (
    MICRO_PER_FEN,
    Bounded,
    Free,
    Graduated,
    Package,
    PerUnit,
    Tier,
    Volume,
    first_unit_micro,
    units_of,
)
from metering.tariff import Tariff as Rule

PERSON_UNITS: Final = frozenset(
    {"per_verified_person", "per_verified_claim", "per_adjudicated_claim"}
)
"""Units that are one definite answer about one person."""
WHOLE: Final = frozenset({"per_report", "per_query", "per_call"}) | PERSON_UNITS
"""Units that are one answer, whatever is in it."""

FOR_GOOD = date(2199, 12, 31)
"""The last day of a price that is to hold until further notice."""

_Fen = Annotated[int, Field(ge=0)]


class PriceTier(Frozen):
    """Units up to and including `up_to` (none: all further ones) cost `price_fen` each."""

    up_to: Annotated[int, Field(ge=1)] | None = None
    price_fen: _Fen


class Published(Frozen):
    """One published price: `price_fen` per unit, per package of `size` units, or by `tiers`.

    `minimum_fen` and `cap_fen` bound what a grant pays for a service in a month it uses it in. Such
    a price, one of tiers or one of packages begins and ends with a month.
    """

    ref: Annotated[str, Field(pattern=r"^[a-z0-9./-]{1,64}$")]
    valid_from: date
    valid_to: date = FOR_GOOD
    kind: Literal["per_unit", "package", "graduated", "volume"] = "per_unit"
    price_fen: _Fen | None = None
    size: Annotated[int, Field(ge=1)] | None = None
    tiers: tuple[PriceTier, ...] = ()
    minimum_fen: _Fen = 0
    cap_fen: _Fen | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        tiered = self.kind in {"graduated", "volume"}
        if (self.price_fen is None) is not tiered or bool(self.tiers) is not tiered:
            raise ValueError(f"{self.ref}: a {self.kind} price has {_PARTS[self.kind]}")
        if (self.size is None) is (self.kind == "package"):
            raise ValueError(f"{self.ref}: a {self.kind} price has {_PARTS[self.kind]}")
        if not self._is_plain() and not self._whole_months():
            raise ValueError(f"{self.ref}: tiers, packages and bounds hold for whole months")
        if self.valid_to > FOR_GOOD:
            raise ValueError(f"{self.ref}: no price holds beyond {FOR_GOOD}")
        self.price()
        return self

    def _is_plain(self) -> bool:
        return self.kind == "per_unit" and not self.minimum_fen and self.cap_fen is None

    def _whole_months(self) -> bool:
        """A month that has two such prices would have two commitments, and tiers begun twice."""
        return self.valid_from.day == 1 and (self.valid_to + timedelta(days=1)).day == 1

    def price(self) -> Price:
        """The price as metering rates by it."""
        rule: Rule = self._rule()
        if self.minimum_fen or self.cap_fen is not None:
            cap = None if self.cap_fen is None else self.cap_fen * MICRO_PER_FEN
            rule = Bounded(self._rule(), self.minimum_fen * MICRO_PER_FEN, cap)
        return Price(self.ref, rule, self.valid_from, self.valid_to)

    def _rule(self) -> PerUnit | Package | Graduated | Volume:
        micro = (self.price_fen or 0) * MICRO_PER_FEN
        if self.kind == "per_unit":
            return PerUnit(micro)
        if self.kind == "package":
            return Package(self.size or 0, micro)
        tiers = tuple(Tier(tier.up_to, tier.price_fen * MICRO_PER_FEN) for tier in self.tiers)
        return Graduated(tiers) if self.kind == "graduated" else Volume(tiers)


_PARTS = {
    "per_unit": "a price_fen, no size and no tiers",
    "package": "a price_fen and a size, no tiers",
    "graduated": "tiers, no price_fen and no size",
    "volume": "tiers, no price_fen and no size",
}


class Tariff(Frozen):
    """The unit of a service and its published prices."""

    unit: Literal[
        "per_1000_cells",
        "per_report",
        "per_query",
        "per_verified_person",
        "per_verified_claim",
        "per_adjudicated_claim",
        "per_call",
        "free",
    ]
    prices: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.unit == "free" and self.prices:
            raise ValueError("what is free has no price")
        price_list(price.price() for price in self.prices)
        return self

    @cached_property
    def published(self) -> PriceList:
        """The prices in order of time."""
        return price_list(price.price() for price in self.prices)

    def units_charged(self, cells: int) -> int:
        """The most units that so many delivered cells can be charged as: an answer to one question
        is one report, or one query, however much is in it."""
        return min(cells, 1) if self.unit in WHOLE else units_of(self.unit, cells)

    def first_unit_micro(self, ref: str) -> int:
        """What the first unit costs by a price of the list."""
        price = self.published.named(ref)
        return 0 if price is None else first_unit_micro(price.tariff)

    def view(self) -> dict[str, object]:
        """What the policy reads: which price holds when, not how much it is."""
        return {
            "unit": self.unit,
            "prices": [
                {
                    "ref": price.ref,
                    "valid_from": price.valid_from.isoformat(),
                    "valid_to": price.valid_to.isoformat(),
                }
                for price in self.published.prices
            ],
        }


def changed_prices(before: Mapping[str, Tariff], after: Mapping[str, Tariff]) -> Iterator[str]:
    """Prices that a later list has changed or dropped: what was sold by them is charged by them.

    Only a last day may be set, once a price is published.
    """
    for service, tariff in before.items():
        now = {price.ref: price for price in after[service].prices} if service in after else {}
        for price in tariff.prices:
            kept = now.get(price.ref)
            if kept is None:
                yield f"{service}: the published price {price.ref} is gone; set its valid_to"
            elif kept.model_copy(update={"valid_to": price.valid_to}) != price:
                yield f"{service}: the published price {price.ref} was changed; add another one"


def rule_of(tariffs: Mapping[str, Tariff], key: LineKey) -> Rule | None:
    """The rule a line is charged by; None where its price is on no list."""
    if key.unit == "free":
        return Free()
    tariff = tariffs.get(key.service)
    price = None if tariff is None else tariff.published.named(key.price_ref)
    return None if price is None else price.tariff


def charged_by(tariffs: Mapping[str, Tariff], key: LineKey) -> Rule:
    """As `rule_of`; where the list does not say, the price the answers were stamped with."""
    return rule_of(tariffs, key) or stamped_price(key)
