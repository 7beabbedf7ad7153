"""What a month amounts to by what is known now: its lines, and how each service's fees are divided.

Read from the journal and the releases alone, so that anybody who has both finds the same fen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gateway.billing.delivered import contributions
from gateway.billing.terms import Terms
from gateway.journal.reader import USAGE_COLUMNS
from gateway.journal.schema import connect_reading
from metering.calendar import month_range
from metering.rating import ChargeLine, Pricing, rate
from metering.sharing import Contribution, Split, split, weigh
from metering.usage import FIELDS, UsageEvent, from_record, time_text

_MONTHS = "SELECT DISTINCT month FROM usage_event ORDER BY 1"
_EVENTS = f"SELECT {USAGE_COLUMNS} FROM usage_event WHERE time >= ? AND time < ? AND seq <= ?"
_UNKNOWN = "unknown"

EVERYTHING: Final = 2**62
"""Beyond the number of any event."""


@dataclass(frozen=True)
class Month:
    """One month's truth. `weights` and `splits` by service; every line's fees are in one split, on
    the terms that hold for this month."""

    month: str
    lines: tuple[ChargeLine, ...]
    weights: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, Split]
    terms: Terms


def months_used(journal: Path) -> tuple[str, ...]:
    """Months in which anything was answered."""
    with closing(connect_reading(journal)) as db:
        return tuple(month for (month,) in db.execute(_MONTHS))


@dataclass(frozen=True)
class Evidence:
    """What a month follows from. `price`: the published prices."""

    journal: Path
    releases: Path
    price: Pricing


def month_of_account(
    evidence: Evidence, terms: Terms, month: str, until: int = EVERYTHING
) -> Month:
    """Rate a month's events and divide their fees by the releases' contributions.

    `until`: the last event that counts, to find again what was known when it was recorded.
    """
    with closing(connect_reading(evidence.journal)) as db:
        db.execute("BEGIN")
        lines = rate(_events(db, month, until), evidence.price)
        parts: dict[str, list[Contribution]] = {}
        for service, part in contributions(db, evidence.releases, month, until):
            parts.setdefault(service, []).append(part)
    weights = {
        service: _named(weigh(found, {}, terms.strategy_of(service)), terms.bureau)
        for service, found in parts.items()
    }
    return Month(month, lines, weights, _splits(lines, weights, terms), terms)


def with_amounts(month: Month, amounts: Mapping[str, int]) -> Month:
    """The month with other amounts for some lines, by id, and its fees divided accordingly."""
    lines = tuple(
        replace(line, amount_fen=amounts.get(line.line_id, line.amount_fen)) for line in month.lines
    )
    splits = _splits(lines, month.weights, month.terms)
    return replace(month, lines=lines, splits=splits)


def _events(db: sqlite3.Connection, month: str, until: int) -> Iterator[UsageEvent]:
    begins, ends = (time_text(moment) for moment in month_range(month))
    for row in db.execute(_EVENTS, (begins, ends, until)):
        yield from_record(dict(zip(FIELDS, row, strict=True)))


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
