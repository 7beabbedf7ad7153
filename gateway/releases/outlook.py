"""The periods a release tells of beyond its data: which there are, and the rows they have.

A service with forecasts publishes twelve months more than it has data for, and the longer periods
that lie within them. Their rows have estimated figures and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from gateway.catalogue.kinds import Forecast
from gateway.catalogue.kinds.forecast import HORIZON
from gateway.catalogue.model import Grain, Service
from gateway.releases.facts import Period, label_of
from gateway.releases.kernel import Ints
from gateway.releases.kinds.late import Late, Layout
from gateway.releases.sheet import Sheet
from gateway.releases.shown import ABSENT, ROUNDED, SUPPRESSED

Labels: TypeAlias = dict[str, tuple[str, ...]]
_LENGTH = {Grain.MONTH: 1, Grain.QUARTER: 3, Grain.YEAR: 12}


def with_outlook(
    service: Service, months: Sequence[str], every: Sequence[Period]
) -> tuple[Period, ...]:
    """The periods with data and those to be forecast, grain by grain, in order."""
    if not months or not _forecasts(service):
        return tuple(every)
    ahead = _ahead(months[-1])
    found: list[Period] = []
    for grain in service.periods:
        found += [period for period in every if period.grain is grain]
        labels = [label_of(month, grain) for month in ahead]
        for text in dict.fromkeys(labels):
            if labels.count(text) == _LENGTH[grain]:  # the rest of it has data or lies beyond
                first = len(months) + labels.index(text)
                found.append(Period(grain, text, first, first + _LENGTH[grain] - 1))
    return tuple(found)


def estimated(service: Service, every: Sequence[Period], calendar: Sequence[Period]) -> Labels:
    """Labels of the periods that have no data, by grain."""
    ahead = [period for period in calendar if period not in set(every)]
    return {
        str(grain): tuple(p.label for p in ahead if p.grain is grain)
        for grain in service.periods
        if any(p.grain is grain for p in ahead)
    }


def _forecasts(service: Service) -> list[str]:
    return [m.name for m in service.measures if isinstance(m.define, Forecast)]


def _ahead(last: str) -> list[str]:
    """The months that follow one."""
    at = int(last[:4]) * 12 + int(last[5:])
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(at, at + HORIZON)]


def with_rows_ahead(sheet: Sheet, layout: Layout) -> Sheet:
    """The sheet with a row for each period to come of every cell that may have a forecast there."""
    names = _forecasts(layout.service)
    ahead = [i for i, p in enumerate(layout.calendar) if p.first >= layout.data_months]
    if not names or not ahead or not len(sheet):
        return sheet
    late = Late(sheet, layout)
    offered = np.any([late.figure(name).marks != ABSENT for name in names], axis=0)
    told = np.zeros(len(sheet), np.bool_)
    told[sheet.open] = True
    rows = np.flatnonzero(offered & told)
    rows = rows[np.unique(late.cell[rows], return_index=True)[1]]
    return _extended(sheet, layout, rows, np.array(ahead, np.int64))


def _extended(sheet: Sheet, layout: Layout, rows: Ints, ahead: Ints) -> Sheet:
    """The sheet with copies of rows in other periods, without figures."""
    number, place = np.divmod(sheet.block[rows], layout.places)
    shape = number // len(layout.calendar)
    block = (shape[:, None] * len(layout.calendar) + ahead) * layout.places + place[:, None]
    new = np.repeat(rows, len(ahead))
    marks = np.where(sheet.marks[:, new] == ABSENT, ABSENT, SUPPRESSED).astype(np.uint8)
    blocks = np.concatenate([sheet.block, block.reshape(-1)])
    cells = np.concatenate([sheet.cell, sheet.cell[new]])
    order = np.lexsort((cells, blocks))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    open_ = rank[np.append(sheet.open, np.arange(len(sheet), len(order)))]
    sort = np.argsort(open_)
    nothing = np.zeros(len(new), np.int64)
    return replace(
        sheet,
        block=blocks[order],
        cell=cells[order],
        whole=np.append(sheet.whole, np.full(len(new), ROUNDED, np.uint8))[order],
        marks=np.concatenate([sheet.marks, marks], axis=1)[:, order],
        open=open_[sort],
        values=tuple(np.append(values, nothing)[sort] for values in sheet.values),
    )
