"""`forecast`: published months carried on beyond the last one with data.

Made of rounded figures of published cells and of nothing else: it discloses nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.catalogue.kinds import Forecast
from gateway.catalogue.kinds.forecast import HISTORY
from gateway.catalogue.model import Grain
from gateway.releases.kernel import Ints
from gateway.releases.kinds.late import Late
from gateway.releases.kinds.seasonal import Outlook, outlook
from gateway.releases.sdc import round_significant
from gateway.releases.shown import ESTIMATED, SUPPRESSED, Figure

_DIGITS: Final = 3
_SHARES: Final = {"low95": 0.025, "low80": 0.1, "high80": 0.9, "high95": 0.975}
_PERCENT: Final = 1  # decimals of an error in per cent


def forecast(define: Forecast, late: Late) -> Figure:
    """One part of the outlook of every cell that has enough months, in the periods to come."""
    known = late.figure(define.of)
    held = np.zeros(len(late.sheet), np.bool_)
    values = np.zeros(len(late.sheet), np.int64)
    begin = late.layout.data_months
    for cell in _cells(late, known):
        told = outlook(cell.series, either_sign=define.onto is not None)
        base = _base(late.figure(define.onto), cell) if define.onto else 0
        if base is None:
            continue
        for row in cell.ahead.tolist():
            period = late.layout.calendar[int(late.period[row])]
            first, months = period.first - begin, period.last - period.first + 1
            if define.onto:
                first, months = 0, first + months
            value = _part(define, told, first, months)
            if value is not None:
                values[row], held[row] = value + base, True
    if define.part != "mape":
        values = round_significant(values, _DIGITS)
    marks = np.where(held, ESTIMATED, SUPPRESSED).astype(np.uint8)
    return Figure(values, marks, _PERCENT if define.part == "mape" else known.scale)


def _part(define: Forecast, told: Outlook, first: int, months: int) -> int | None:
    if define.part == "mape":
        error = told.errors.get(months)
        return None if error is None else round(100 * error * 10**_PERCENT)
    expected, outcomes = told.summed(first, months)
    if define.part == "point":
        return round(expected)
    return round(float(np.quantile(outcomes, _SHARES[define.part])))


@dataclass(frozen=True)
class _Cell:
    """The months of a cell, the row of the last of them, its rows in periods to come."""

    series: tuple[int, ...]
    last: int
    ahead: Ints


def _base(balance: Figure, cell: _Cell) -> int | None:
    """What a balance stood at when the last month ended; None where that is not shown."""
    return int(balance.values[cell.last]) if balance.open[cell.last] else None


def _cells(late: Late, known: Figure) -> Iterator[_Cell]:
    """Every cell with enough months up to the last one with data, none of them missing."""
    label = late.cell
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    calendar, end = late.layout.calendar, late.layout.data_months
    month = np.array([p.first if p.grain is Grain.MONTH else -1 for p in calendar], np.int64)
    ahead = np.array([p.first >= end for p in calendar], np.bool_)
    for rows in np.split(order, cuts):
        if not ahead[late.period[rows]].any():  # not offered there
            continue
        own = rows[(month[late.period[rows]] >= 0) & known.open[rows]]
        own = own[np.argsort(month[late.period[own]])]
        at = month[late.period[own]]
        whole = len(at) and int(at.max()) == end - 1 and len(at) == end - int(at.min())
        if whole and len(at) >= HISTORY:
            series = tuple(known.values[own].tolist())
            yield _Cell(series, int(own[-1]), rows[ahead[late.period[rows]]])
