"""Price lists and terms of simulated months, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from tests.month_world_auditor import Agreed, Price

STRATEGIES = ("contribution", "rows_only", "equal")


def price_lists(
    chance: random.Random, months: tuple[str, ...], services: tuple[str, ...]
) -> dict[str, list[Price]]:
    """For every service one price for every day of the months."""
    return {
        service: [price for month in months for price in _month(chance, service, month)]
        for service in services
    }


def _month(chance: random.Random, service: str, month: str) -> Iterator[Price]:
    """One price for the month, or two where the price per unit changes inside it."""
    first = date.fromisoformat(f"{month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    ref, fen = f"{service.lower()}/{month}", chance.randrange(1, 20_000)
    kind = chance.choice(("per_unit", "per_unit", "package", "graduated", "volume"))
    if kind == "per_unit" and chance.random() < 0.4:
        change = first.replace(day=chance.randrange(2, 28))
        yield Price(f"{ref}-a", first, change - timedelta(days=1), kind, fen)
        yield Price(f"{ref}-b", change, last, kind, chance.randrange(1, 20_000))
        return
    minimum = chance.randrange(1, 9000) if chance.random() < 0.2 else 0
    cap = minimum + chance.randrange(1, 30_000) if chance.random() < 0.2 else None
    if kind in {"graduated", "volume"}:
        ends = sorted(chance.sample(range(1, 8), chance.randint(1, 3)))
        tiers = tuple((end, chance.randrange(1, 9000)) for end in (*ends, None))
        yield Price(ref, first, last, kind, tiers=tiers, minimum=minimum, cap=cap)
        return
    size = chance.randint(1, 4) if kind == "package" else 1
    yield Price(ref, first, last, kind, fen, size, minimum=minimum, cap=cap)


def on_day(prices: list[Price], day: date) -> Price | None:
    """The price of a day; None where nothing was published for it."""
    return next((price for price in prices if price.first <= day <= price.last), None)


def agreement(chance: random.Random) -> Agreed:
    """Terms as they may be agreed for a month."""
    return Agreed(
        tax_bp=chance.choice((0, 300, 600)),
        operator_bp=chance.choice((0, 1500, 3000, 9500)),
        ceiling=chance.choice((0, 777, 10**8)),
        interest_bp=chance.choice((0, 1000, 10_000)),
        strategy=chance.choice(STRATEGIES),
    )
