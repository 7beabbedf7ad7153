"""Which small cells matter: those that lie below a cell large enough to be published."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from gateway.catalogue.model import Grain
from gateway.releases.facts import city_of
from gateway.releases.kernel import Bools, Ints, mixed, unmixed
from gateway.releases.plan import Plan
from gateway.releases.shapes import Shape


class Busy:
    """Which cells have enough persons that they may be published, as they become known.

    A cell too small to be published matters only below one that may be: it could be found there by
    subtraction. All others are left out of the lattice, which makes it several times smaller.
    Longer periods, cities and coarser shapes come first, so what lies above is always known.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._keys: dict[tuple[tuple[str, ...], int], Ints] = {}
        self._above = _period_parents(plan)

    def matters(
        self, shape: Shape, level: int, cells: tuple[Ints, Ints, Ints], crowded: Bools
    ) -> Bools:
        """Cells with enough persons or below one that has; the former are remembered."""
        held = crowded.copy()
        period, geo, code = cells
        columns = shape.columns
        digits = dict(zip(columns, unmixed(code, self._plan.sizes(columns))[1:], strict=True))
        for column in columns:
            above, rolled = self._rolled(columns, column, digits)
            held |= self._known(above, level, (period, geo, rolled))
        held |= self._known(columns, level, (self._above[period], geo, code))
        cities = [i for i, g in enumerate(self._plan.service.geo) if g.level == "city"]
        if self._plan.service.geo[level].level == "county" and cities:
            held |= self._known(columns, cities[0], (period, self._city(geo), code))
        keys = self._coded(columns, level, tuple(part[crowded] for part in cells))
        before = self._keys.get((columns, level), np.zeros(0, np.int64))
        self._keys[columns, level] = np.union1d(before, keys)
        return held

    def _known(self, columns: tuple[str, ...], level: int, cells: tuple[Ints, Ints, Ints]) -> Bools:
        known = self._keys.get((columns, level))
        if known is None or not len(known):
            return np.zeros(len(cells[0]), np.bool_)
        keys = self._coded(columns, level, cells)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        found: Bools = (known[at] == keys) & (cells[0] >= 0)
        return found

    def _coded(self, columns: tuple[str, ...], level: int, cells: tuple[Ints, ...]) -> Ints:
        places = self._plan.places(self._plan.service.geo[level])
        period, geo, code = cells
        return (period * places + geo) * prod(self._plan.sizes(columns)) + code

    def _city(self, county: Ints) -> Ints:
        cities = [self._plan.cities.index(city_of(c)) for c in self._plan.counties]
        return np.array(cities, np.int64)[county]

    def _rolled(
        self, columns: tuple[str, ...], column: str, digits: Mapping[str, Ints]
    ) -> tuple[tuple[str, ...], Ints]:
        """The columns and codes of the cells one step up from a column."""
        up = self._plan.domains[column].coarser
        at = columns.index(column)
        above = (*columns[:at], *([up] if up else []), *columns[at + 1 :])
        parts = dict(digits)
        if up:
            parents = self._plan.domains[column].parents
            parts[up] = np.array(parents, np.int64)[digits[column]]
        length = len(digits[column])
        return above, mixed([parts[c] for c in above], self._plan.sizes(above), length)


def _period_parents(plan: Plan) -> Ints:
    """For each period the shortest longer one that holds it; -1 without one."""
    order = list(Grain)
    parents = []
    for period in plan.periods:
        longer = [
            (order.index(other.grain), i)
            for i, other in enumerate(plan.periods)
            if order.index(other.grain) > order.index(period.grain)
            and other.first <= period.first
            and period.last <= other.last
        ]
        parents.append(min(longer, default=(0, -1))[1])
    return np.array(parents, np.int64)
