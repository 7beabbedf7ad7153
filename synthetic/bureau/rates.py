"""How often: expected events of every person-year, scaled so that group means hit their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.enrolment import Units
from synthetic.bureau.people import CONDITIONS, People
from synthetic.bureau.settings import GROUPS, RESIDENT, Run, document

_DIALYSIS_VISITS = 140.0


@dataclass(frozen=True)
class Rates:
    """Expected events per unit of `Units`."""

    stay: Reals
    visit: Reals
    pharmacy: Reals


def expected(run: Run, people: People, units: Units) -> Rates:
    """Rates of stays, outpatient visits and pharmacy purchases; net of refunds they hit §3.1."""
    parameters = document("parameters")
    targets, factor = parameters["targets"], parameters["year_factor"]
    person, year = units.person, units.year
    age = np.clip(2022 + year - (people.birth[person] // 365.25 + 2022), 0, 99).astype(np.int64)
    never = _never(run, people)
    use = people.use[person, year] * never[person]
    illness = people.illness[person, year]
    base = _by_age(parameters["inpatient"], units.group, age, people.female[person])
    burden = 0.55 + 1.1 * people.condition[person].sum(axis=1)
    stay = base / 1000 * illness * burden * np.array(factor["inpatient"])[year]
    visit = _by_age(parameters["outpatient"], units.group, age) * use
    visit *= 0.7 + 0.75 * people.condition[person].sum(axis=1)
    dialysis = people.condition[person, CONDITIONS.index("dialysis")]
    visit = np.where(dialysis, 0.0, visit)
    reform = np.array([factor["outpatient"]["employee"], factor["outpatient"]["resident"]])
    who = (units.group == RESIDENT).astype(np.int64)
    refund = 1 - parameters["refund"]
    visit_target = {k: v / refund for k, v in targets["outpatient"].items()}
    fixed = np.where(dialysis, _DIALYSIS_VISITS, 0.0)
    visit = _scaled(units, visit, visit_target, days.OUTPATIENT, fixed) * reform[who, year]
    shop = _by_age(parameters["pharmacy"], units.group, age) * use
    shop_target = {k: v / refund for k, v in targets["pharmacy"].items()}
    shop = _scaled(units, shop, shop_target, days.PHARMACY) * np.array(factor["pharmacy"])[year]
    stay_target = {k: v / refund for k, v in targets["inpatient"].items()}
    return Rates(_scaled(units, stay, stay_target, days.INPATIENT), visit, shop)


def _never(run: Run, people: People) -> Reals:
    """Zero for persons who never go as outpatients, a little more than one for the others."""
    share = document("parameters")["frailty"]["never"]
    resident = people.group[0] == RESIDENT
    chance = np.where(resident, share["resident"], share["employee"])
    chance = np.where(people.condition.any(axis=1), 0.0, chance)
    rng = stream(run.seed, "never")
    return np.where(rng.random(len(people)) < chance, 0.0, 1.0)


def _by_age(
    table: dict[str, list[list[float]]], group: Ints, age: Ints, female: Flags | None = None
) -> Reals:
    lookup = np.zeros((3, 2, 100))
    for g, name in enumerate(GROUPS):
        for row in table[name]:
            lookup[g, 1, int(row[0]) :] = row[1]
            lookup[g, 0, int(row[0]) :] = row[-1]
        first = int(table[name][0][0])
        lookup[g, :, :first] = lookup[g, :, first : first + 1]
    sex: Array = np.zeros(len(age), dtype=np.int64) if female is None else female.astype(np.int64)
    return lookup[group, sex, age]


def _scaled(
    units: Units,
    rate: Reals,
    target: dict[str, float],
    calendar: Reals,
    fixed: Reals | None = None,
) -> Reals:
    """Rates × share of the year's activity, scaled per scheme to the target of 2023–2025."""
    year_start = days.YEAR_START[units.year]
    year_days = days.YEAR_START[units.year + 1] - year_start
    part = (calendar[units.end] - calendar[units.start]) / year_days
    constant = (np.zeros(len(rate)) if fixed is None else fixed) * part
    out = rate * part
    exposure = (units.end - units.start) / 365.25
    for name, resident in (("employee", False), ("resident", True)):
        mine = (units.group == RESIDENT) == resident
        counted = mine & (units.year > 0)
        wanted = target[name] * exposure[counted].sum() - constant[counted].sum()
        out[mine] *= wanted / out[counted].sum()
    total: Reals = out + constant
    return total


def dates(rng: np.random.Generator, units: Units, unit: Ints, calendar: Reals) -> Ints:
    """A day inside the unit's insured days for each event, by how busy days are."""
    low, high = calendar[units.start[unit]], calendar[units.end[unit]]
    at = low + rng.random(len(unit)) * (high - low)
    found = np.searchsorted(calendar, at, side="right") - 1
    return np.clip(found, units.start[unit], units.end[unit] - 1)
