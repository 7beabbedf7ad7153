"""PT2: a negotiated drug listed in 2024-01, its users growing to 1.8 per 10 000 insured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import Ints, pick, stream
from synthetic.bureau.diagnoses import dx_index
from synthetic.bureau.enrolment import Units
from synthetic.bureau.events import MED, SHOP, VISIT, Events
from synthetic.bureau.institutions import LOCAL, NONE, SECONDARY, TERTIARY, Institutions
from synthetic.bureau.people import NEVER, People
from synthetic.bureau.prescribing import REGIMENS
from synthetic.bureau.settings import Run
from synthetic.bureau.stays import Stays
from synthetic.bureau.visits import outside

USERS_PER_PERSON = 1.8e-4
PHARMACY_SHARE = 0.40
_LISTED_MONTH = 24
_MONTHS = 24
_TARGET = 150_000  # fen; two packs fit


@dataclass(frozen=True)
class Users:
    """Who starts the drug in which month of the window, by person."""

    person: Ints
    month: Ints


def users(run: Run, people: People) -> Users:
    """The cohort: adults insured to the end, starting over nine months after the listing."""
    rng = stream(run.seed, "negotiated", run.cohort)
    lasting = (people.end[0] == NEVER) & (people.birth < -20 * 365) & (people.death == NEVER)
    fit = np.flatnonzero(lasting & (people.county != people.county.max()))
    count = round(USERS_PER_PERSON * run.persons)
    person = np.sort(rng.choice(fit, count, replace=False))
    chance = rng.uniform(0.02, 0.98, count)
    month = np.clip(4.5 + 1.2 * np.log(chance / (1 - chance)), 0, 9).astype(np.int64)
    return Users(person, _LISTED_MONTH + month)


def purchases(
    run: Run, block: int, units: Units, cohort: Users, *, places: Institutions, stays: Stays
) -> Events:
    """One monthly purchase per user of the block, at a dual-channel pharmacy or a hospital."""
    rng = stream(run.seed, "negotiated-purchases", block)
    first, last = run.part(block)
    a, b = np.searchsorted(cohort.person, [first, last])
    person = np.repeat(cohort.person[a:b], _MONTHS)
    month = np.tile(np.arange(_LISTED_MONTH, _LISTED_MONTH + _MONTHS), b - a)
    kept = month >= np.repeat(cohort.month[a:b], _MONTHS)
    person, month = person[kept], month[kept]
    day = days.month_starts()[month] + 1 + (person * 7 + rng.integers(0, 5, len(person))) % 24
    at = np.searchsorted(units.person * 4096 + units.start, person * 4096 + day, side="right")
    unit = at - 1
    kept, day = outside(units, stays, unit, day)
    unit, n = unit[kept], int(kept.sum())
    shop = rng.random(n) < PHARMACY_SHARE
    hospitals = np.concatenate([places.pool(level, LOCAL) for level in (TERTIARY, SECONDARY)])
    inst = hospitals[pick(rng, places.weight[hospitals], n)]
    inst = np.where(shop, places.draw(rng, NONE, LOCAL, n), inst)
    second = days.seconds(rng, n)
    return Events(
        person=units.person[unit], unit=unit, kind=np.where(shop, SHOP, VISIT), begin=day,
        second=second, end=day, settle=day, settle_second=np.where(shop, second, second + 120),
        inst=inst, level=places.level[inst], place=np.full(n, LOCAL),
        dx=np.where(shop, -1, dx_index()["E11.900"]), med=np.where(shop, MED["41"], MED["11"]),
        regimen=np.full(n, REGIMENS.index("nego")), refill=np.zeros(n, dtype=np.int64),
        disease=np.full(n, -1),
        target=np.full(n, _TARGET), stay=np.full(n, -1), refund=np.zeros(n, dtype=bool),
        mid=np.zeros(n, dtype=bool), manual=np.zeros(n, dtype=bool),
    )  # fmt: skip
