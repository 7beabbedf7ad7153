"""What a build groups by: the closed lists, shapes, periods and places of one service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from gateway.catalogue.model import GeoLevel, Service
from gateway.releases.blocks import Block
from gateway.releases.domains import Domain
from gateway.releases.facts import Coded, Period
from gateway.releases.kernel import Ints
from gateway.releases.records import Records
from gateway.releases.shapes import Fit, Shape


@dataclass(frozen=True)
class Plan:
    """What to group by: the closed lists, the shapes, periods and geography levels of a service."""

    service: Service
    domains: Mapping[str, Domain]
    shapes: tuple[Shape, ...]
    fits: tuple[Fit, ...]  # of each shape
    periods: tuple[Period, ...]
    counties: tuple[str, ...]
    cities: tuple[str, ...]
    n_institutions: int
    least: tuple[int, int, int]  # persons, institutions and insured any publishable cell has
    facts: Mapping[str, Coded]
    calendar: tuple[Period, ...]  # every period of the release
    numbers: tuple[int, ...]  # which of them `periods` are
    records: Records | None = None  # of this service and those linked with it

    def sizes(self, columns: Sequence[str]) -> list[int]:
        return [len(self.domains[c]) for c in columns]

    def places(self, level: GeoLevel) -> int:
        """Number of places of a geography level."""
        return len(self.cities if level.level == "city" else self.counties)

    def keys(self, block: Block) -> Ints:
        """One ascending number per cell of a block: period, place and code in one."""
        width = prod(self.sizes(self.shapes[block.shape].columns))
        places = self.places(self.service.geo[block.level])
        return (block.period * places + block.geo) * width + block.code
