"""Prices as credit limits count by them: what a call is reserved at is the most it adds.

Where a month's number of units decides what each of them costs (`Volume`), the unit that reaches a
dearer tier makes all those before it dearer: there every unit counts as the dearest.

Over replicas, each of which knows its own part of a grant's month, also the parts must not cost
less than the whole: every price of which later units are dearer than the first counts so. A credit
limit may be reached early by either, and is not passed. Bills know nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from metering.rating import LineKey, Pricing
from metering.tariff import Bounded, Graduated, PerUnit, Tariff, Tier, Unbounded, Volume


def of_parts(price: Pricing) -> Pricing:
    """The same prices, fit to be added up over replicas."""

    def priced(key: LineKey) -> Tariff:
        return additive(price(key))

    return priced


def of_one(price: Pricing) -> Pricing:
    """The same prices, fit to reserve by where one process counts alone."""

    def priced(key: LineKey) -> Tariff:
        return steady(price(key))

    return priced


def steady(tariff: Tariff) -> Tariff:
    """A tariff by which units that are added never make those before them dearer."""
    match tariff:
        case Volume() | Bounded(inner=Volume()):
            return additive(tariff)
        case _:
            return tariff


def additive(tariff: Tariff) -> Tariff:
    """A tariff of which two parts never cost less together than `tariff` charges for the sum."""
    if isinstance(tariff, Bounded):
        return replace(tariff, inner=_flat(tariff.inner))
    return _flat(tariff)


def _flat(tariff: Unbounded) -> Unbounded:
    """Every unit at the dearest tier, where later ones are dearer than the first."""
    match tariff:
        case Graduated(tiers=tiers) | Volume(tiers=tiers) if _rising(tiers):
            return PerUnit(max(tier.price_micro for tier in tiers))
        case _:
            return tariff


def _rising(tiers: tuple[Tier, ...]) -> bool:
    return any(later.price_micro > earlier.price_micro for earlier, later in pairwise(tiers))
