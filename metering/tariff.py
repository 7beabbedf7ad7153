"""Tariffs: how many units cost how much. Exact whole micro-yuan; nothing is rounded here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

MICRO_PER_FEN = 10_000

# How many base units (cells, reports, calls …) make one tariff unit.
PACKS = {
    "per_1000_cells": 1000,
    "per_report": 1,
    "per_query": 1,
    "per_verified_person": 1,
    "per_verified_claim": 1,
    "per_adjudicated_claim": 1,
    "per_call": 1,
    "free": 1,
}


class TariffError(ValueError):
    """A price table that does not say one price for every number of units."""


@dataclass(frozen=True)
class Free:
    """Counted, at price zero."""

    def charge(self, units: int) -> int:
        """Nothing, for any number of units."""
        _check_units(units)
        return 0


@dataclass(frozen=True)
class PerUnit:
    """The same price for every unit."""

    price_micro: int

    def __post_init__(self) -> None:
        _check_price(self.price_micro)

    def charge(self, units: int) -> int:
        """Micro-yuan for `units`."""
        _check_units(units)
        return units * self.price_micro


@dataclass(frozen=True)
class Tier:
    """Units up to and including `up_to` (None: all further ones) cost `price_micro` each."""

    up_to: int | None
    price_micro: int


@dataclass(frozen=True)
class Graduated:
    """Each unit costs the price of the tier it falls in: the first ones keep their price."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _check_tiers(self.tiers)

    def charge(self, units: int) -> int:
        """Micro-yuan for `units`."""
        total, start = 0, 0
        _check_units(units)
        for tier in self.tiers:
            end = units if tier.up_to is None else min(units, tier.up_to)
            total += max(0, end - start) * tier.price_micro
            start = end
        return total


@dataclass(frozen=True)
class Volume:
    """All units cost the price of the tier that their number reaches."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        _check_tiers(self.tiers)

    def charge(self, units: int) -> int:
        """Micro-yuan for `units`."""
        _check_units(units)
        reached = (t for t in self.tiers if t.up_to is None or units <= t.up_to)
        return units * next(reached).price_micro


@dataclass(frozen=True)
class Package:
    """Units are sold in packages of `size`; a package begun costs its whole price."""

    size: int
    price_micro: int

    def __post_init__(self) -> None:
        _check_price(self.price_micro)
        if type(self.size) is not int or self.size < 1:
            raise TariffError("a package holds at least one unit")

    def charge(self, units: int) -> int:
        """Micro-yuan for `units`."""
        _check_units(units)
        return -(-units // self.size) * self.price_micro


Unbounded: TypeAlias = Free | PerUnit | Graduated | Volume | Package


@dataclass(frozen=True)
class Bounded:
    """Another tariff with a commitment below which a month does not fall, and a cap above it."""

    inner: Unbounded
    minimum_micro: int = 0
    cap_micro: int | None = None

    def __post_init__(self) -> None:
        _check_price(self.minimum_micro)
        if self.cap_micro is not None:
            _check_price(self.cap_micro)
            if self.cap_micro < self.minimum_micro:
                raise TariffError("the cap of a month lies below its commitment")

    def charge(self, units: int) -> int:
        """Micro-yuan for `units`; the commitment also for none at all."""
        owed = max(self.minimum_micro, self.inner.charge(units))
        return owed if self.cap_micro is None else min(owed, self.cap_micro)


Tariff: TypeAlias = Unbounded | Bounded


def most_micro(tariff: Tariff, units: int) -> int:
    """What so many more units can add to a month at most, no commitment counted: a bound to
    reserve by. (A volume tariff adds more once, where it reaches a dearer tier: who reserves prices
    such a month by `gateway.quota.pricing`.)"""
    match tariff:
        case Bounded(inner=inner):
            return most_micro(inner, units)
        case Graduated(tiers=tiers) | Volume(tiers=tiers):
            return units * max(tier.price_micro for tier in tiers)
        case _:
            return tariff.charge(units)


def commitment_micro(tariff: Tariff) -> int:
    """What a month costs at least, once anything is used in it."""
    return tariff.minimum_micro if isinstance(tariff, Bounded) else 0


def first_unit_micro(tariff: Tariff) -> int:
    """What the first unit costs, no commitment counted: the price a single answer is shown."""
    return (tariff.inner if isinstance(tariff, Bounded) else tariff).charge(1)


def units_of(unit: str, qty: int) -> int:
    """Tariff units begun by `qty` base units: 1 001 cells are 2 units of 1 000."""
    _check_units(qty)
    return -(-qty // PACKS[unit])


def _check_units(units: int) -> None:
    if units < 0:
        raise ValueError("units are counted upwards; a credit is an event of its own")


def _check_price(price_micro: int) -> None:
    if type(price_micro) is not int or price_micro < 0:
        raise TariffError("a price is a whole number of micro-yuan, not negative")


def _check_tiers(tiers: tuple[Tier, ...]) -> None:
    """Tiers rise, and exactly the last one is open."""
    for tier in tiers:
        _check_price(tier.price_micro)
    ends = [tier.up_to for tier in tiers]
    if not ends or ends[-1] is not None or None in ends[:-1]:
        raise TariffError("the last tier, and only it, has no upper end")
    closed = [0, *(end for end in ends if end is not None)]
    if any(later <= earlier for earlier, later in pairwise(closed)):
        raise TariffError("tiers must rise")
