"""PT5: a programme for hypertension in one county from 2024 on; nothing changes elsewhere.

Each of its members has 0.6 more outpatient visits a year and, by avoided cheap admissions for
diseases of heart, vessels and metabolism, 0.10 fewer stays; together some 6 % less cost.
"""

from __future__ import annotations

import numpy as np

from synthetic.bureau.arrays import Flags, Ints, Reals
from synthetic.bureau.days import YEARS, day_of
from synthetic.bureau.diagnoses import dx_codes, read
from synthetic.bureau.enrolment import Units
from synthetic.bureau.people import CONDITIONS, NEVER, People, counties
from synthetic.bureau.stays import Stays

COUNTY = "990102"
BEGIN = day_of("2024-01-01")
FEWER_STAYS, MORE_VISITS = 0.10, 0.6
LINKABLE_SHARE = 92  # of 100 members let their records be linked
_LEVEL_PRICE = np.array([1.0, 0.65, 0.4])  # T, S, P: what a stay of the same kind costs there
_AVOIDABLE = ("E11", "H81", "I10", "I20", "I25", "I50", "I63", "I67", "I69", "R42")


def members(people: People) -> Flags:
    """Who is in the programme."""
    county: Flags = people.county == counties().index(COUNTY)
    return county & people.condition[:, CONDITIONS.index("htn")]


def since(people: People) -> Ints:
    """Day on which each member joins, NEVER for everybody else."""
    first = np.maximum(people.start[0], BEGIN)
    later = np.maximum(people.start[1], BEGIN)
    day = np.where(first < people.end[0], first, np.where(later < people.end[1], later, NEVER))
    return np.where(members(people) & (people.group[0] >= 0), day, NEVER)


def more_visits(people: People, units: Units) -> Reals:
    """Yearly rate of visits that the programme adds to each unit."""
    treated = members(people)[units.person] & (units.start >= BEGIN)
    return np.where(treated, MORE_VISITS, 0.0)


def with_common_trend(people: People, units: Units, rate: Reals) -> Reals:
    """Members' rates set so that, the programme apart, their years compare as elsewhere.

    Without it a handful of very ill persons would move the county's trend as much as the effect.
    """
    ill = people.condition[units.person, CONDITIONS.index("htn")]
    mine = members(people)[units.person]
    length = (units.end - units.start).astype(np.float64)
    out = rate.copy()

    def ratio(within: Flags) -> float:
        here, there = mine & within, ill & ~mine & within
        mean = rate[here].sum() / length[here].sum(), rate[there].sum() / length[there].sum()
        return float(mean[0] / mean[1])

    usual = ratio(np.ones(len(rate), dtype=bool))
    for year in range(len(YEARS)):
        now = units.year == year
        out[mine & now] *= usual / ratio(now)
    return out


def without_avoided(people: People, units: Units, stays: Stays) -> Stays:
    """The stays that still happen: of the avoidable ones the cheapest do not."""
    member = members(people)
    treated = member[units.person] & (units.start >= BEGIN)
    years = float((units.end - units.start)[treated].sum()) / 365.25
    avoidable = np.array([c[:3] in _AVOIDABLE for c in dx_codes()])[read("stays").dx[stays.entry]]
    at_stake = np.flatnonzero(avoidable & member[stays.person] & (stays.begin >= BEGIN))
    price = (stays.cost * _LEVEL_PRICE[stays.level])[at_stake]
    cheapest = at_stake[np.argsort(price, kind="stable")]
    kept = np.ones(len(stays.person), dtype=bool)
    kept[cheapest[: round(FEWER_STAYS * years)]] = False
    return stays.take(kept)
