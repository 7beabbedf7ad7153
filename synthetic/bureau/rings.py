"""PT7: rings of cards that are used together, again and again in one minute at one pharmacy.

There is one ring in each block of persons, so 40 at size `demo`.
"""

from __future__ import annotations

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import stream
from synthetic.bureau.enrolment import Units
from synthetic.bureau.events import MED, SHOP, Events
from synthetic.bureau.institutions import LOCAL, NONE, Institutions
from synthetic.bureau.people import NEVER, People
from synthetic.bureau.prescribing import REGIMENS
from synthetic.bureau.settings import RESIDENT, Run
from synthetic.bureau.stays import Stays
from synthetic.bureau.visits import outside

CARDS = 6
MEETINGS = 7
_FROM = days.day_of("2024-01-15")
_AMOUNT = 12_000  # fen


def meetings(
    run: Run, block: int, people: People, units: Units, *, places: Institutions, stays: Stays
) -> Events:
    """The purchases of the block's ring; who is in hospital or uninsured stays away."""
    rng = stream(run.seed, "rings", block)
    first, last = run.part(block)
    lasting = (people.end[0] == NEVER) & (people.death == NEVER) & (people.start[0] <= 0)
    fit = first + np.flatnonzero((lasting & (people.group[0] != RESIDENT))[first:last])
    cards = np.sort(rng.choice(fit, min(CARDS, len(fit)), replace=False))
    day = np.sort(rng.choice(np.arange(_FROM, days.DAYS - 30), MEETINGS, replace=False))
    minute = rng.integers(9 * 60, 19 * 60, MEETINGS)
    person, meeting = np.repeat(cards, MEETINGS), np.tile(np.arange(MEETINGS), len(cards))
    key = units.person * 4096 + units.start
    unit = np.searchsorted(key, person * 4096 + day[meeting], side="right") - 1
    kept, moved = outside(units, stays, unit, day[meeting])
    there = moved == day[meeting][kept]
    unit, meeting = unit[kept][there], meeting[kept][there]
    n = len(unit)
    second = minute[meeting] * 60 + rng.integers(0, 60, n)
    pharmacy = places.draw(rng, NONE, LOCAL, 1)[0]
    return Events(
        person=units.person[unit], unit=unit, kind=np.full(n, SHOP), begin=day[meeting],
        second=second, end=day[meeting], settle=day[meeting], settle_second=second,
        inst=np.full(n, pharmacy), level=np.full(n, NONE), place=np.full(n, LOCAL),
        dx=np.full(n, -1), med=np.full(n, MED["41"]), regimen=np.full(n, REGIMENS.index("otc")),
        refill=np.zeros(n, dtype=np.int64), disease=np.full(n, -1), target=np.full(n, _AMOUNT),
        stay=np.full(n, -1), refund=np.zeros(n, dtype=bool), mid=np.zeros(n, dtype=bool),
        manual=np.zeros(n, dtype=bool),
    )  # fmt: skip
