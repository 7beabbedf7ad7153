"""`reserve`: how many months a published balance would last at the last year's expenditure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.catalogue.kinds import Reserve
from gateway.releases.facts import Period
from gateway.releases.kernel import Ints
from gateway.releases.kinds.late import PER_YEAR, Late, label_before
from gateway.releases.kinds.linear import worst
from gateway.releases.sdc import ratio
from gateway.releases.shown import Figure


def reserve(define: Reserve, late: Late) -> Figure:
    """The balance over the monthly mean of the twelve months up to the end of each row's period."""
    balance, spent = late.figure(define.balance), late.figure(define.expenditure)
    total = np.zeros(len(late.sheet), np.int64)
    months = np.zeros(len(late.sheet), np.int64)
    held, parts = balance.open.copy(), [balance]
    for back in range(12):
        steps, lengths = _earlier(late.layout.calendar, back)
        own = lengths[late.period] > 0
        part = late.moved(spent, late.at_period(steps))
        total += np.where(own & part.open, part.values, 0)
        months += np.where(own, lengths[late.period], 0)
        held &= part.open | ~own
        parts.append(Figure(part.values, np.where(own, part.marks, balance.marks)))
    held &= (months == 12) & (total > 0)
    top = 12 * balance.values * 10**spent.scale
    value = ratio(top, np.where(held, total, 1) * 10**balance.scale, 1, define.decimals)
    whole = np.rint(np.where(held, value, 0) * 10**define.decimals).astype(np.int64)
    return Figure(whole, worst(parts, held), define.decimals)


def _earlier(calendar: Sequence[Period], back: int) -> tuple[Ints, Ints]:
    """For each period the one `back` steps before, while these are within a year: its number (-1
    where it is not there) and how many months it has."""
    place = {(p.grain, p.label): i for i, p in enumerate(calendar)}
    steps, lengths = [], []
    for period in calendar:
        within = back < PER_YEAR[period.grain]
        at = place.get((period.grain, label_before(period, back)), -1) if within else -1
        steps.append(at)
        lengths.append(calendar[at].last - calendar[at].first + 1 if at >= 0 else int(within))
    return np.array(steps, np.int64), np.array(lengths, np.int64)
