"""What one profile publishes of a service, as columns ready to be written or put together.

Sheets of several seasons make up the sheet of a release. Figures are kept for the rows that have
one; a row that is only hidden costs its address and its marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.catalogue.model import Measure, Ratio, Service
from gateway.releases.facts import Period
from gateway.releases.kernel import Bools, Ints
from gateway.releases.measures import quotient, years_before
from gateway.releases.shown import ABSENT, HIDDEN, OK, ROUNDED, SUPPRESSED, Figure, Marks, Shown


@dataclass(frozen=True)
class Sheet:
    """Rows by block and cell, ascending, with a line of marks per measure.

    `whole` marks the cell as such. `values[m]` are the figures of measure m in the rows `open`.
    """

    measures: tuple[Measure, ...]
    block: Ints
    cell: Ints
    whole: Marks
    marks: Marks
    open: Ints
    values: tuple[Ints, ...]
    scales: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.block)

    @classmethod
    def of(cls, shown: Shown, figures: Mapping[str, Figure], block: Ints, cell: Ints) -> Sheet:
        """The shown cells that have an address (block 0 or more), in order of it."""
        measures = kept(shown.table.plan.service)
        order = np.lexsort((cell, block))
        order = order[block[order] >= 0]
        own = [figures[measure.name] for measure in measures]
        marks = np.stack([figure.marks[order] for figure in own])
        open_ = np.flatnonzero(_open(marks).any(axis=0))
        return cls(
            measures,
            block[order],
            cell[order],
            shown.marks[order],
            marks,
            open_,
            tuple(figure.values[order[open_]] for figure in own),
            tuple(figure.scale for figure in own),
            tuple(figure.labels for figure in own),
        )

    def figure(self, name: str) -> Figure:
        """One measure over all rows."""
        at = [measure.name for measure in self.measures].index(name)
        values = np.zeros(len(self), np.int64)
        values[self.open] = self.values[at]
        return Figure(values, self.marks[at], self.scales[at], self.labels[at])

    def with_figure(self, name: str, figure: Figure) -> Sheet:
        """The sheet with one measure replaced; it is open in rows that have figures already."""
        at = [measure.name for measure in self.measures].index(name)
        marks = self.marks.copy()
        marks[at] = figure.marks
        values = (*self.values[:at], figure.values[self.open], *self.values[at + 1 :])
        scales = (*self.scales[:at], figure.scale, *self.scales[at + 1 :])
        return replace(self, marks=marks, values=values, scales=scales)


def kept(service: Service) -> tuple[Measure, ...]:
    """Measures with a place on the sheet: those answered, and parts of ratios that look back."""
    needed = {part for _, define in looking_back(service) for part in (define.num, define.den)}
    return tuple(m for m in service.measures if not m.internal or m.name in needed)


def looking_back(service: Service) -> list[tuple[str, Ratio]]:
    """Measures whose denominator lies in an earlier year."""
    return [
        (m.name, m.define)
        for m in service.measures
        if isinstance(m.define, Ratio) and m.define.lag_years
    ]


def together(sheets: Sequence[Sheet]) -> Sheet:
    """The sheets of all seasons as one."""
    block = np.concatenate([sheet.block for sheet in sheets])
    cell = np.concatenate([sheet.cell for sheet in sheets])
    order = np.lexsort((cell, block))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    before = np.cumsum([0, *(len(sheet) for sheet in sheets)])
    open_ = place[
        np.concatenate([sheet.open + at for sheet, at in zip(sheets, before, strict=False)])
    ]
    rank = np.argsort(open_)
    first = sheets[0]
    return replace(
        first,
        block=block[order],
        cell=cell[order],
        whole=np.concatenate([sheet.whole for sheet in sheets])[order],
        marks=np.concatenate([sheet.marks for sheet in sheets], axis=1)[:, order],
        open=open_[rank],
        values=tuple(
            np.concatenate([sheet.values[m] for sheet in sheets])[rank]
            for m in range(len(first.values))
        ),
    )


def looked_back(sheet: Sheet, service: Service, calendar: Sequence[Period], places: int) -> Sheet:
    """The sheet with the measures that need an earlier year of it."""
    for name, define in looking_back(service):
        there = _years_before(sheet, calendar, places, define.lag_years)
        den = _moved(sheet.figure(define.den), there, sheet.whole)
        made = quotient(define, sheet.figure(define.num), den)
        before = sheet.figure(name).marks
        marks = np.where(before == ABSENT, ABSENT, made.marks).astype(np.uint8)
        values = np.where(_open(marks), made.values, 0)
        sheet = sheet.with_figure(name, Figure(values, marks, made.scale))
    return sheet


def _years_before(sheet: Sheet, calendar: Sequence[Period], places: int, years: int) -> Ints:
    """The row of the same cell so many years earlier, -1 where there is none."""
    at = {(period.grain, period.label): i for i, period in enumerate(calendar)}
    earlier = np.array([at.get(years_before(p, years), -1) for p in calendar], np.int64)
    number, place = np.divmod(sheet.block, places)
    shape, period = np.divmod(number, len(calendar))
    then = earlier[period]
    wanted = (shape * len(calendar) + then) * places + place
    width = int(sheet.cell.max(initial=0)) + 1
    keys, asked = sheet.block * width + sheet.cell, wanted * width + sheet.cell
    found = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
    return np.where((keys[found] == asked) & (then >= 0), found, -1)


def _moved(raw: Figure, there: Ints, whole: Marks) -> Figure:
    held = there >= 0
    marks = np.where(held, raw.marks[there], SUPPRESSED)
    marks = np.where(whole == HIDDEN, HIDDEN, marks).astype(np.uint8)
    return Figure(np.where(held, raw.values[there], 0), marks, raw.scale)


def _open(marks: Marks) -> Bools:
    found: Bools = (marks == ROUNDED) | (marks == OK)
    return found
