"""What a late evaluator works on: the sheet of a whole release, every period of it.

Late figures are made of figures that are rounded and protected already; a row that shows nothing
else never shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway.catalogue.kinds import Kind
from gateway.catalogue.model import Grain, Service
from gateway.releases.cellfile import answered, places_of
from gateway.releases.facts import Period
from gateway.releases.kernel import Ints
from gateway.releases.kinds.scene import Scene
from gateway.releases.plan import Plan
from gateway.releases.sheet import Sheet
from gateway.releases.shown import HIDDEN, SUPPRESSED, Figure

PER_YEAR: Final = {Grain.MONTH: 12, Grain.QUARTER: 4, Grain.YEAR: 1}


@dataclass(frozen=True)
class Layout:
    """How the rows of a sheet are numbered: shape × period × place, then one code per column."""

    service: Service
    calendar: tuple[Period, ...]
    places: int
    shapes: tuple[tuple[str, ...], ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data_months: int = 0  # the months of the calendar before this number have data

    @classmethod
    def of(cls, plan: Plan) -> Layout:
        shapes = answered(plan)
        columns = {column for shape in shapes for column in shape}
        return cls(
            plan.service,
            plan.calendar,
            len(places_of(plan)),
            shapes,
            {column: plan.domains[column].values for column in columns},
            1 + max((period.last for period in plan.periods), default=-1),
        )


@dataclass(frozen=True)
class Late:
    """The rows to give a figure to."""

    sheet: Sheet
    layout: Layout

    def figure(self, name: str) -> Figure:
        """One measure over all rows."""
        return self.sheet.figure(name)

    @property
    def shape(self) -> Ints:
        """Which of the layout's shapes each row has."""
        numbers: Ints = self.sheet.block // (self.layout.places * len(self.layout.calendar))
        return numbers

    @property
    def cell(self) -> Ints:
        """A number per row, the same in all periods of a cell."""
        calendar, places = self.layout.calendar, self.layout.places
        number, place = np.divmod(self.sheet.block, places)
        cell = number // len(calendar) * places + place
        width = int(self.sheet.cell.max(initial=0)) + 1
        numbers: Ints = cell * width + self.sheet.cell
        return numbers

    @property
    def period(self) -> Ints:
        """Which period of the calendar each row is of."""
        numbers: Ints = self.sheet.block // self.layout.places % len(self.layout.calendar)
        return numbers

    def at_period(self, periods: Ints) -> Ints:
        """The row of the same cell in another period: `periods` gives it for each of the calendar,
        -1 for none. -1 where no such row is."""
        calendar, places = self.layout.calendar, self.layout.places
        number, place = np.divmod(self.sheet.block, places)
        shape, period = np.divmod(number, len(calendar))
        then = periods[period]
        wanted = (shape * len(calendar) + then) * places + place
        width = int(self.sheet.cell.max(initial=0)) + 1
        keys = self.sheet.block * width + self.sheet.cell
        asked = wanted * width + self.sheet.cell
        found = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
        return np.where((keys[found] == asked) & (then >= 0), found, -1)

    def years_before(self, years: int) -> Ints:
        """The row of the same cell so many years earlier, -1 where there is none."""
        calendar = self.layout.calendar
        at = {(period.grain, period.label): i for i, period in enumerate(calendar)}
        earlier = [at.get(years_before(p, years), -1) for p in calendar]
        return self.at_period(np.array(earlier, np.int64))

    def moved(self, raw: Figure, there: Ints) -> Figure:
        """A figure read at other rows; a cell that is hidden stays so."""
        held = there >= 0
        marks = np.where(held, raw.marks[there], SUPPRESSED)
        marks = np.where(self.sheet.whole == HIDDEN, HIDDEN, marks).astype(np.uint8)
        return Figure(np.where(held, raw.values[there], 0), marks, raw.scale)


def untold(define: Kind, scene: Scene) -> Figure:
    """Within one season nothing is told yet: a late evaluator will."""
    shown = scene.shown
    marks = np.where(shown.marks == HIDDEN, HIDDEN, SUPPRESSED).astype(np.uint8)
    return Figure(np.zeros(len(shown), np.int64), marks)


def label_before(period: Period, steps: int) -> str:
    """The label of the period so many steps earlier, each as long as this one."""
    per_year = PER_YEAR[period.grain]
    if per_year == 1:
        return f"{int(period.label) - steps:04d}"
    sign = "-" if period.grain is Grain.MONTH else "Q"
    year, number = period.label.split(sign)
    at = int(year) * per_year + int(number) - 1 - steps
    return f"{at // per_year:04d}{sign}{at % per_year + 1:0{len(number)}d}"


def years_before(period: Period, years: int) -> tuple[Grain, str]:
    """Grain and label of the same period some years earlier."""
    return period.grain, f"{int(period.label[:4]) - years:04d}{period.label[4:]}"
