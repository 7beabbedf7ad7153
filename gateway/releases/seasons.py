"""Seasons: a longest period with the shorter ones inside it, counted and protected by itself.

Nothing is published that adds up seasons, so none can be found by subtraction from another: each is
a job of its own, as small as a quarter and as many at a time as there are processors. A season
knows nothing of the others, so what it gives is the same whichever are built with it; only when a
release is written do its cells get their place in the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.catalogue.model import Grain, Service
from gateway.releases.contributions import Columns
from gateway.releases.facts import Period, label_of
from gateway.releases.kernel import Ints
from gateway.releases.sheet import Sheet


@dataclass(frozen=True)
class Harvest:
    """What one season gives to the release of a service, by profile key, in its own numbers."""

    sheets: Mapping[str, Sheet]
    contributions: Mapping[str, Columns]
    contradicted: frozenset[int]
    calendar: tuple[Period, ...]
    institutions: tuple[str, ...]


def longest(services: Iterable[Service]) -> Grain:
    """The longest period any of the services publishes: services protected together share it."""
    order = list(Grain)
    return max((grain for service in services for grain in service.periods), key=order.index)


def seasons_of(months: Iterable[str], grain: Grain) -> tuple[str, ...]:
    """The seasons that months lie in, in order."""
    return tuple(sorted({label_of(month, grain) for month in months}))


@dataclass(frozen=True)
class Whole:
    """How a release numbers what its seasons number each for itself."""

    calendar: Sequence[Period]
    institutions: Sequence[str]
    places: int

    def placed(self, harvest: Harvest) -> Harvest:
        """A season's cells and providers as the release numbers them."""
        return replace(
            harvest,
            sheets={
                key: replace(sheet, block=self._blocks(sheet.block, harvest))
                for key, sheet in harvest.sheets.items()
            },
            contributions={
                key: self._columns(columns, harvest) if columns else columns
                for key, columns in harvest.contributions.items()
            },
        )

    def _blocks(self, block: Ints, harvest: Harvest) -> Ints:
        at = {(p.grain, p.label): number for number, p in enumerate(self.calendar)}
        then = np.array([at[p.grain, p.label] for p in harvest.calendar], np.int64)
        number, place = np.divmod(block, self.places)
        shape, period = np.divmod(number, len(harvest.calendar))
        placed: Ints = (shape * len(self.calendar) + then[period]) * self.places + place
        return placed

    def _columns(self, columns: Columns, harvest: Harvest) -> Columns:
        """Providers are the known ones, the unknown, and each region's pooled ones."""
        at = {name: number for number, name in enumerate(self.institutions)}
        known = [at[name] for name in harvest.institutions]
        rest = np.arange(1 + self.places) + len(self.institutions)
        provider = np.concatenate([np.array(known, np.int64), rest])[columns["provider"]]
        block = self._blocks(columns["block"], harvest)
        return {**columns, "block": block, "provider": provider}
