"""`chain_ladder` and `increment`: completion factors from published-grade amounts by delay.

An amount that fewer than k persons make up is no part of any factor, so a factor tells of no
single late claim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.catalogue.kinds import ChainLadder, Increment
from gateway.catalogue.model import Grain
from gateway.releases.facts import Period
from gateway.releases.kernel import Bools, Floats, Ints
from gateway.releases.kinds.late import PER_YEAR, Late
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import ABSENT, HIDDEN, ROUNDED, SUPPRESSED, Figure


def increment(define: Increment, scene: Scene) -> Figure:
    """The sum of each cell's records, of k persons at least."""
    values, held = scene.each(define.fact, define.column, _added)
    scale = scene.scale(define.fact, define.column)
    return Figure(scene.rules.amount(values), scene.marked(held), scale)


def _added(values: Ints, starts: Ints) -> tuple[Ints, Bools]:
    running = np.append(0, np.cumsum(values))
    return running[starts[1:]] - running[starts[:-1]], np.diff(starts) > 0


@dataclass(frozen=True)
class Triangle:
    """Cumulative amounts by cell, origin and month of delay. `seen`: which origins a cell has.

    `ends` is the last month of each origin, `length` how many months it has.
    """

    settled: Ints
    seen: Bools
    ends: Ints
    length: int

    def shares(self, now: int, least: int) -> tuple[Floats, Bools]:
        """By cell and delay what part is settled, as known at the end of the month `now`.

        Not known where a factor has fewer than `least` months of origin, or nothing to start from.
        """
        cells, _, width = self.settled.shape
        share, known = np.ones((cells, width)), np.ones((cells, width), np.bool_)
        for delay in reversed(range(width - 1)):
            used = self.seen & (self.ends + delay + 1 <= now)
            before, after = (
                np.where(used, self.settled[:, :, delay + more], 0).sum(axis=1) for more in (0, 1)
            )
            holds = (before > 0) & (after > 0) & (used.sum(axis=1) * self.length >= least)
            factor = np.divide(before, after, out=np.ones(cells), where=holds)
            share[:, delay] = share[:, delay + 1] * factor
            known[:, delay] = known[:, delay + 1] & holds
        return share, known


def chain_ladder(define: ChainLadder, late: Late) -> Figure:
    """The share of each row's cell, as known at the end of the row's period."""
    size, sheet = len(late.sheet), late.sheet
    values, held = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    told = late.figure(define.of[0]).marks != ABSENT
    for grain in dict.fromkeys(period.grain for period in late.layout.calendar):
        of_grain = np.array([period.grain == grain for period in late.layout.calendar])
        rows = np.flatnonzero(told & of_grain[late.period])
        if not len(rows):
            continue
        triangle, place, origin = _triangle(define, late, rows, grain)
        for at in np.unique(origin):
            share, known = triangle.shares(int(triangle.ends[at]), define.months)
            own = origin == at
            found = np.rint(share[:, define.delay] * 10**define.decimals).astype(np.int64)
            values[rows[own]] = found[place[own]]
            held[rows[own]] = known[place[own], define.delay] & triangle.seen[place[own], at]
    held &= sheet.whole == ROUNDED
    closed = np.where(sheet.whole == HIDDEN, HIDDEN, SUPPRESSED)
    marks = np.where(held, ROUNDED, closed).astype(np.uint8)
    return Figure(np.where(held, values, 0), marks, define.decimals)


def _triangle(
    define: ChainLadder, late: Late, rows: Ints, grain: Grain
) -> tuple[Triangle, Ints, Ints]:
    """What the rows of one grain have, and which cell and which origin each row is of."""
    cells, place = np.unique(late.cell[rows], return_inverse=True)
    periods, origin = np.unique(late.period[rows], return_inverse=True)
    table = np.zeros((len(cells), len(periods), len(define.of)), np.int64)
    seen = np.zeros(table.shape[:2], np.bool_)
    for delay, name in enumerate(define.of):
        figure = late.figure(name)
        table[place, origin, delay] = np.where(figure.open, figure.values, 0)[rows]
    begun, persons = late.figure(define.of[0]), late.figure(define.persons)
    many = begun.open & persons.open & (persons.values >= define.least)
    seen[place, origin] = many[rows]
    ends = np.array([_last_month(late.layout.calendar[at]) for at in periods], np.int64)
    settled = np.cumsum(table, axis=2)
    return Triangle(settled, seen, ends, 12 // PER_YEAR[grain]), place, origin


def _last_month(period: Period) -> int:
    """The last month of a period, counted from year 0."""
    if period.grain is Grain.MONTH:
        return 12 * int(period.label[:4]) + int(period.label[5:]) - 1
    quarter = int(period.label[5:]) if period.grain is Grain.QUARTER else 4
    return 12 * int(period.label[:4]) + 3 * quarter - 1
