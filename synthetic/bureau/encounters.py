"""Pharmacy purchases and stays of one block as events, beside its outpatient visits."""

from __future__ import annotations

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.diagnoses import dx_codes, read
from synthetic.bureau.enrolment import Units, dates
from synthetic.bureau.events import MED, SHOP, STAY, Events
from synthetic.bureau.institutions import LOCAL, NONE, Institutions
from synthetic.bureau.people import People
from synthetic.bureau.prescribing import REGIMENS
from synthetic.bureau.settings import RESIDENT, Run, document
from synthetic.bureau.stays import Stays
from synthetic.bureau.visits import choose, outside

NIGHT_SHARE = 0.35


def night_pharmacy(places: Institutions) -> int:
    """PT7: the pharmacy with bursts of sales at night."""
    return int(places.pool(NONE, LOCAL)[3])


def shop(
    run: Run, block: int, people: People, units: Units, expected: Reals, *,
    places: Institutions, stays: Stays,
) -> Events:  # fmt: skip
    """Purchases at retail pharmacies."""
    rng = stream(run.seed, "pharmacy", block)
    unit = np.repeat(np.arange(len(expected)), rng.poisson(expected))
    day = dates(rng, units, unit, days.PHARMACY)
    kept, day = outside(units, stays, unit, day)
    unit = unit[kept]
    person, n = units.person[unit], len(unit)
    place = np.where(rng.random(n) < 0.02, 1 + (rng.random(n) < 0.5), LOCAL)
    inst = choose(rng, places, people, person, level=np.full(n, NONE), place=place)
    second = days.seconds(rng, n)
    burst = (inst == night_pharmacy(places)) & (rng.random(n) < NIGHT_SHARE)
    night = (rng.integers(0, 28_800, n) + 79_200) % 86_400
    second = np.where(burst, night, second)
    mean = document("parameters")["targets"]["pharmacy_cost"]
    scale = document("parameters")["pharmacy_scale"]
    target = mean * scale * 100 * np.exp(0.8 * rng.standard_normal(n) - 0.32)
    none = np.full(n, -1)
    return Events(
        person=person, unit=unit, kind=np.full(n, SHOP), begin=day, second=second, end=day,
        settle=day, settle_second=second, inst=inst, level=np.full(n, NONE), place=place, dx=none,
        med=np.full(n, MED["41"]), regimen=np.full(n, REGIMENS.index("otc")),
        refill=np.zeros(n, dtype=np.int64), disease=none,
        target=np.clip(target, 500, 400_000).astype(np.int64), stay=none,
        refund=rng.random(n) < document("parameters")["refund"], mid=np.zeros(n, dtype=bool),
        manual=np.zeros(n, dtype=bool),
    )  # fmt: skip


def hospital(run: Run, block: int, units: Units, stays: Stays, first_unit: int) -> Events:
    """The block's stays as events; `first_unit` makes their unit numbers local to the block."""
    rng = stream(run.seed, "discharge", block)
    n = len(stays.person)
    unit = stays.unit - first_unit
    dx = read("stays").dx[stays.entry]
    second = days.seconds(rng, n)
    leave = rng.integers(8 * 3600, 17 * 3600, n)
    chance = rng.random(n)
    manual = chance >= 0.98
    lag = np.where(chance < 0.82, 0, np.where(chance < 0.95, rng.integers(1, 8, n), 8))
    lag = np.where(chance >= 0.95, rng.integers(8, 15, n), lag)
    lag = np.where(manual, rng.integers(15, 121, n), lag)
    settle = stays.end + lag
    second = np.minimum(second, 18 * 3600)
    at = np.where(lag == 0, leave + 3600, leave)
    at = np.maximum(at, np.where(settle == stays.begin, second + 3600, 0))
    los = stays.end - stays.begin
    refund = (rng.random(n) < document("parameters")["refund"]) & (settle < days.DAYS)
    long = (los >= 10) & (stays.begin >= days.LINES_FROM) & ~manual & ~refund
    share = document("parameters")["mid_term"] / max(0.01, float((los >= 10).mean()))
    mid = long & (rng.random(n) < share * 1.35)
    resident = units.group[unit] == RESIDENT
    return Events(
        person=stays.person, unit=unit, kind=np.full(n, STAY), begin=stays.begin,
        second=second, end=stays.end, settle=settle,
        settle_second=at, inst=stays.inst, level=stays.level,
        place=stays.place, dx=dx, med=_category(rng, dx, los, resident),
        regimen=np.full(n, REGIMENS.index("none")), refill=np.zeros(n, dtype=np.int64),
        disease=np.full(n, -1),
        target=np.rint(stays.cost * 100).astype(np.int64), stay=np.arange(n), refund=refund,
        mid=mid, manual=manual,
    )  # fmt: skip


def _category(rng: np.random.Generator, dx: Ints, los: Ints, resident: Flags) -> Array:
    """Medical category of a stay; births are maternity for employees and half of the residents."""
    codes = np.array(dx_codes())[dx]
    letter = codes.astype("U1")
    chance = rng.random(len(dx))
    med = np.where(chance < 0.08, MED["24"], MED["21"])
    med = np.where((letter == "S") | (letter == "T"), MED["22"], med)
    med = np.where((los <= 1) & (chance > 0.5), MED["28"], med)
    three = codes.astype("U3")
    maternal = resident & (chance < 0.5)
    for code, local in (("O80", "2106"), ("O82", "2107")):
        mine = three == code
        med = np.where(mine & ~resident, MED["52"], med)
        med = np.where(mine & maternal, MED[local], med)
    return med
