"""Seasons: a longest period with the shorter ones inside it, counted and protected by itself.

Nothing is published that adds up seasons, so none can be found by subtraction from another: each is
a job of its own, as small as a quarter and as many at a time as there are processors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.catalogue.model import Grain, Service
from gateway.releases.facts import Period, label_of
from gateway.releases.plan import Plan


def longest(services: Iterable[Service]) -> Grain:
    """The longest period any of the services publishes: services protected together share it."""
    order = list(Grain)
    return max((grain for service in services for grain in service.periods), key=order.index)


def seasons(plan: Plan, grain: Grain) -> dict[str, Plan]:
    """The plan cut into seasons as long as `grain`, by their label, each with its own rows."""
    numbers: dict[str, list[int]] = {}
    for number, period in enumerate(plan.periods):
        numbers.setdefault(season_of(period, grain), []).append(number)
    return {label: _cut(plan, numbers[label]) for label in sorted(numbers)}


def season_of(period: Period, grain: Grain) -> str:
    """The label of the season a period lies in."""
    if period.grain == grain:
        return period.label
    return label_of(period.label, grain) if period.grain is Grain.MONTH else period.label[:4]


def _cut(plan: Plan, numbers: list[int]) -> Plan:
    own = tuple(plan.periods[number] for number in numbers)
    first, last = min(p.first for p in own), max(p.last for p in own)
    return replace(
        plan,
        periods=own,
        numbers=tuple(numbers),
        facts={name: fact.cut(first, last) for name, fact in plan.facts.items()},
        records=plan.records.during({(p.grain, p.label) for p in own}) if plan.records else None,
    )
