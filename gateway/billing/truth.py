"""What a month amounts to by what is known now: its lines, and how each service's fees are divided.

It follows from the events and the releases alone, so that anybody who has both finds the same fen.
The events are added up hour by hour first (`rollup`), so a month costs what its hours come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.billing.delivered import contributions
from gateway.billing.rollup import rollups
from gateway.billing.rollup_month import MonthSums
from gateway.billing.terms import Terms
from gateway.billing.watermark import hour_begins
from gateway.journal.engine import MODEST, Limits
from gateway.journal.events import EventSource, Heads
from metering.calendar import month_of
from metering.hints import OwnQuality, own_quality
from metering.rating import ChargeLine, Pricing, charge
from metering.sharing import Split, split, weigh

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Month:
    """One month's truth. `weights`, `splits` and each provider's own `quality` by service; every
    line's fees are in one split, on the terms that hold for this month."""

    month: str
    lines: tuple[ChargeLine, ...]
    weights: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, Split]
    terms: Terms
    quality: Mapping[str, Mapping[str, OwnQuality]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What a month follows from. `archive`: where its events are added up. `price`: the published
    prices."""

    events: EventSource
    archive: Path
    releases: Path
    price: Pricing
    limits: Limits = MODEST


def months_used(evidence: Evidence) -> tuple[str, ...]:
    """Months in which anything was answered."""
    with rollups(evidence.archive, evidence.limits) as rolled:
        rolled.refresh(evidence.events)
        hours = {part.hour for part in rolled.archive.index.parts()}
    return tuple(sorted({month_of(hour_begins(hour)) for hour in hours}))


def month_of_account(
    evidence: Evidence, terms: Terms, month: str, until: Heads | None = None
) -> Month:
    """Rate a month's events and divide their fees by the releases' contributions.

    `until`: the last event of each journal that counts, to find again what was known at a moment.
    """
    with rollups(evidence.archive, evidence.limits) as rolled:
        rolled.refresh(evidence.events)
        sums = MonthSums(rolled, evidence.events, month, until)
        lines = charge(sums.accruals(), evidence.price)
        parts = contributions(sums, evidence.releases, terms.strategy_of)
    weights = {
        service: _named(weigh(found, terms.strategy_of(service)), terms.bureau)
        for service, found in parts.items()
    }
    quality = {
        service: own_quality(found, terms.strategy_of(service)) for service, found in parts.items()
    }
    return Month(month, lines, weights, _splits(lines, weights, terms), terms, quality)


def with_amounts(month: Month, amounts: Mapping[str, int]) -> Month:
    """The month with other amounts for some lines, by id, and its fees divided accordingly."""
    lines = tuple(
        replace(line, amount_fen=amounts.get(line.line_id, line.amount_fen)) for line in month.lines
    )
    return with_lines(month, lines)


def with_lines(month: Month, lines: tuple[ChargeLine, ...]) -> Month:
    """The month with other lines, and its fees divided accordingly."""
    return replace(month, lines=lines, splits=_splits(lines, month.weights, month.terms))


def _named(weights: Mapping[str, int], bureau: str) -> dict[str, int]:
    """What belongs to no known provider belongs to the data office."""
    named = {name: weight for name, weight in weights.items() if name != _UNKNOWN}
    if _UNKNOWN in weights:
        named[bureau] = named.get(bureau, 0) + weights[_UNKNOWN]
    return named


def _splits(
    lines: tuple[ChargeLine, ...], weights: Mapping[str, Mapping[str, int]], terms: Terms
) -> dict[str, Split]:
    fees: dict[str, int] = {}
    for line in lines:
        fees[line.key.service] = fees.get(line.key.service, 0) + line.amount_fen
    return {
        service: split(fen, terms.deductions(fen), weights.get(service, {}), bureau=terms.bureau)
        for service, fen in sorted(fees.items())
    }
