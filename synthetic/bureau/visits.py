"""Outpatient visits of one block: when, why, where, under which benefit, for how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.diagnoses import dx_codes, dx_index, read
from synthetic.bureau.enrolment import Units, dates
from synthetic.bureau.events import MED, VISIT, Events
from synthetic.bureau.institutions import LOCAL, Institutions
from synthetic.bureau.people import CONDITIONS, People, counties
from synthetic.bureau.prescribing import REGIMENS
from synthetic.bureau.settings import ACTIVE, RESIDENT, Run, document
from synthetic.bureau.stays import Stays, wave
from synthetic.bureau.therapy import Refills

DISEASES = ("M03900", "M01600", "M04600", "M04803", "M05300", "M07803", "M00503")
_CONDITION_DX = ("I10.x00x002", "E11.900", "I25.103", "I69.300x002", "J44.900", "N18.501")
_CANCER = ("C18.900", "C34.900", "C50.900")
_SPECIAL = (5, 6)  # dialysis and cancer are special, the others chronic


@dataclass(frozen=True)
class Why:
    """Reason of each visit: diagnosis, prescribing regimen, chronic condition (-1: none)."""

    dx: Ints
    regimen: Ints
    condition: Ints


def attend(
    run: Run, block: int, people: People, units: Units, expected: Reals, *,
    places: Institutions, stays: Stays, planned: Refills,
) -> Events:  # fmt: skip
    """All outpatient visits of the block's persons, none of them inside a stay."""
    rng = stream(run.seed, "visits", block)
    unit = np.repeat(np.arange(len(expected)), rng.poisson(expected))
    day = dates(rng, units, unit, days.OUTPATIENT)
    why = _reasons(rng, people, units.person[unit], day)
    unit, day, why = _wave(rng, people, units, unit, day=day, why=why)
    supply = np.concatenate([np.zeros(len(unit), dtype=np.int64), planned.supply])
    unit, day = np.concatenate([unit, planned.unit]), np.concatenate([day, planned.day])
    why = _refilling(why, len(planned.unit))
    kept, day = outside(units, stays, unit, day)
    unit, supply = unit[kept], supply[kept]
    why = Why(why.dx[kept], why.regimen[kept], why.condition[kept])
    person = units.person[unit]
    resident = units.group[unit] == RESIDENT
    level, place = _levels(rng, resident, why)
    inst = choose(rng, places, people, person, level=level, place=place)
    level = places.level[inst]
    n = len(unit)
    second = days.seconds(rng, n)
    med, disease = _benefit(rng, units.group[unit], person, level, why)
    return Events(
        person=person, unit=unit, kind=np.full(n, VISIT), begin=day, second=second, end=day,
        settle=day, settle_second=second,
        inst=inst, level=level, place=place, dx=why.dx, med=med, regimen=why.regimen,
        refill=supply, disease=disease, target=_amounts(rng, level, resident, why),
        stay=np.full(n, -1),
        refund=rng.random(n) < document("parameters")["refund"], mid=np.zeros(n, dtype=bool),
        manual=np.zeros(n, dtype=bool),
    )  # fmt: skip


def _reasons(rng: np.random.Generator, people: People, person: Ints, day: Ints) -> Why:
    """Half of the visits of the chronically ill are for one of their conditions."""
    table = read("outpatient")
    age = np.clip((day - people.birth[person]) // 365.25, 0, 99).astype(np.int64)
    entry = table.draw(rng, people.female[person], age)
    regimen = np.array([REGIMENS.index(r["regimen"]) for r in table.entry])[entry]
    dx = table.dx[entry]
    weight = people.condition[person] * np.array([1.0, 0.5, 0.9, 0.8, 0.9, 400.0, 3.0])
    total = weight.sum(axis=1)
    chosen = rng.random(len(person)) * total
    condition = (chosen[:, None] >= np.cumsum(weight, axis=1)).sum(axis=1)
    chronic = (total > 0) & ((rng.random(len(person)) < 0.57) | (total > 300))
    condition = np.where(chronic, np.minimum(condition, len(CONDITIONS) - 1), -1)
    cancer = np.where(people.female[person] & (person % 3 == 0), 2, person % 2)
    codes = np.array([dx_index()[c] for c in (*_CONDITION_DX, *_CANCER)])
    own = codes[np.where(condition == len(CONDITIONS) - 1, condition + cancer, condition)]
    plans = ("htn", "dm", "chd", "stroke", "copd", "dialysis", "onco")
    plan = np.array([REGIMENS.index(name) for name in plans])[condition]
    return Why(np.where(chronic, own, dx), np.where(chronic, plan, regimen), condition)


def _wave(
    rng: np.random.Generator, people: People, units: Units, unit: Ints, *, day: Ints, why: Why
) -> tuple[Ints, Ints, Why]:
    """PT3 for visits: infections J10–J18 of children × 2.1 in the flu window."""
    infection = np.array(["J10" <= c[:3] <= "J18" for c in dx_codes()])[why.dx]
    source, child = wave(rng, people, units, unit, day=day, infection=infection)
    index = np.concatenate([np.arange(len(unit)), source])
    why = Why(why.dx[index], why.regimen[index], why.condition[index])
    return np.concatenate([unit, child]), day[index], why


def _refilling(why: Why, size: int) -> Why:
    """The reasons, followed by those of `size` visits for a diabetic's refill."""
    diabetes = dx_index()["E11.900"], REGIMENS.index("dm"), CONDITIONS.index("dm")
    dx, regimen, condition = (
        np.concatenate([values, np.full(size, value)])
        for values, value in zip((why.dx, why.regimen, why.condition), diabetes, strict=True)
    )
    return Why(dx, regimen, condition)


def outside(units: Units, stays: Stays, unit: Ints, day: Ints) -> tuple[Flags, Ints]:
    """Move what falls into a stay to the day after it; drop what still does not fit."""
    person = units.person[unit]
    key = stays.person * 4096 + stays.begin
    for _ in range(3):
        at = np.searchsorted(key, person * 4096 + day, side="right") - 1
        safe = np.maximum(at, 0)
        if len(key) == 0:
            return np.ones(len(unit), dtype=bool), day
        inside = (at >= 0) & (stays.person[safe] == person) & (day <= stays.end[safe])
        day = np.where(inside, stays.end[safe] + 1, day)
    at = np.maximum(np.searchsorted(key, person * 4096 + day, side="right") - 1, 0)
    inside = (stays.person[at] == person) & (day >= stays.begin[at]) & (day <= stays.end[at])
    kept: Flags = ~inside & (day < units.end[unit])
    return kept, day[kept]


def _levels(rng: np.random.Generator, resident: Flags, why: Why) -> tuple[Ints, Ints]:
    """Level and place: who is away or needs a hospital is no visitor of primary care.

    The others make up for it, so that the levels of all visits are mixed as specified.
    """
    parameters = document("parameters")
    n, scheme = len(resident), resident.astype(np.int64)
    away = rng.random(n) < parameters["out_of_area"]["visit"]
    cross = rng.random(n) < parameters["out_of_area"]["visit_cross"]
    hospital = away | np.isin(why.condition, _SPECIAL)
    able = np.bincount(scheme, ~hospital, 2) / np.maximum(np.bincount(scheme, minlength=2), 1)
    mix = np.array([parameters["level_mix"]["visit"][k] for k in ("employee", "resident")])
    tertiary, primary = mix[scheme, 0], (mix[:, 2] / np.maximum(able, 0.8))[scheme]
    chance = rng.random(n)
    level = np.select([chance < tertiary, ~hospital & (chance >= 1 - primary)], [0, 2], 1)
    return level, np.where(away, 1 + cross, LOCAL)


def choose(
    rng: np.random.Generator, places: Institutions, people: People, person: Ints, *,
    level: Ints, place: Ints,
) -> Ints:  # fmt: skip
    """Seven of ten go to their usual place in their county, the others anywhere of that level."""
    inst = np.zeros(len(person), dtype=np.int64)
    for lv in range(4):
        for where in range(3):
            mine = np.flatnonzero((level == lv) & (place == where))
            if len(mine):
                inst[mine] = places.draw(rng, lv, where, len(mine))
    usual = (place == LOCAL) & (level > 0) & (rng.random(len(person)) < 0.7)
    for c, county in enumerate(counties()):
        for lv in (1, 2, 3):
            mine = np.flatnonzero(usual & (level == lv) & (people.county[person] == c))
            seats = places.seats(lv, county)
            inst[mine] = seats[(person[mine] * 7919) % len(seats)]
    return inst


def _benefit(
    rng: np.random.Generator, group: Ints, person: Ints, level: Ints, why: Why
) -> tuple[Array, Array]:
    """Medical category, and the chronic registration used (index into DISEASES, -1 none)."""
    n = len(person)
    chance = rng.random(n)
    med = np.where(chance < 0.04, MED["13"], np.where(chance < 0.075, MED["16"], MED["11"]))
    condition = why.condition
    special = np.isin(condition, _SPECIAL)
    filed = (condition >= 0) & registered(person, condition)
    two = (condition >= 0) & (condition < 2) & (group == RESIDENT) & (level == 2) & ~filed
    two &= rng.random(n) < 0.5
    med = np.where(filed, np.where(special, MED["140201"], MED["140104"]), med)
    med = np.where(two, MED["1403"], med)
    antenatal = (why.dx == dx_index()["Z34.900"]) & (group == ACTIVE)
    med = np.where(antenatal, MED["51"], med)
    return med, np.where(filed | two, condition, -1)


def registered(person: Ints, condition: Ints) -> Flags:
    """Who of the ill has registered for chronic or special outpatient care."""
    found: Flags = np.isin(condition, _SPECIAL) | ((person * 31 + condition * 17) % 100 < 32)
    return found


def _amounts(rng: np.random.Generator, level: Ints, resident: Flags, why: Why) -> Ints:
    """Fen aimed at: level mean × lognormal, dearer for registered diseases; scaled to §3.1."""
    parameters = document("parameters")
    mean = np.array([*parameters["visit_mean"], 60.0])[level]
    scale = parameters["visit_scale"]
    spread = np.exp(0.9 * rng.standard_normal(len(level)) - 0.405)
    yuan = mean * spread * np.where(resident, scale["resident"], scale["employee"])
    yuan = np.where(why.condition >= 0, yuan * 1.25, yuan)
    dialysis = why.condition == CONDITIONS.index("dialysis")
    yuan = np.where(dialysis, 425 + 30 * rng.standard_normal(len(level)), yuan)
    fen: Ints = np.clip(yuan * 100, 800, 5_000_000).astype(np.int64)
    return fen
