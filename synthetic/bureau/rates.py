"""How often: expected events of every person-year, scaled so that group means hit their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.enrolment import Units
from synthetic.bureau.people import CONDITIONS, People
from synthetic.bureau.programme import more_visits, with_common_trend
from synthetic.bureau.settings import GROUPS, RESIDENT, Run, document
from synthetic.bureau.therapy import Refills

_DIALYSIS_VISITS = 140.0


@dataclass(frozen=True)
class Rates:
    """Expected events per unit of `Units`."""

    stay: Reals
    visit: Reals
    pharmacy: Reals


def expected(run: Run, people: People, units: Units, refills: Refills) -> Rates:
    """Rates of stays, outpatient visits and pharmacy purchases; net of refunds they hit §3.1."""
    parameters = document("parameters")
    factor, frailty = parameters["year_factor"], parameters["frailty"]
    person, year = units.person, units.year
    age = np.clip(2022 + year - (people.birth[person] // 365.25 + 2022), 0, 99).astype(np.int64)
    use = people.use[person, year] * _never(run, people)[person]
    ill = people.condition[person].sum(axis=1)
    base = _by_age(parameters["inpatient"], units.group, age, people.female[person])
    stay = base / 1000 * people.illness[person, year] * _line(frailty["burden"]["stay"], ill)
    stay = np.minimum(stay, frailty["heavy"]["most"])
    visit = _by_age(parameters["outpatient"], units.group, age) * use
    visit *= _line(frailty["burden"]["visit"], ill)
    dialysis = people.condition[person, CONDITIONS.index("dialysis")]
    visit = np.where(dialysis, 0.0, visit)
    shop = _by_age(parameters["pharmacy"], units.group, age) * use
    fixed = np.where(dialysis, _DIALYSIS_VISITS, 0.0) + more_visits(people, units)
    fixed *= _share(units, days.OUTPATIENT)
    planned = np.bincount(refills.unit, minlength=len(person))
    reform = np.array([factor["outpatient"]["employee"], factor["outpatient"]["resident"]])
    who = (units.group == RESIDENT).astype(np.int64)
    level = {"inpatient": np.array(factor["inpatient"])[year], "outpatient": reform[who, year],
             "pharmacy": np.array(factor["pharmacy"])[year]}  # fmt: skip
    stay = _scaled(units, stay, "inpatient", level=level["inpatient"], calendar=days.INPATIENT)
    return Rates(
        with_common_trend(people, units, stay),
        _scaled(units, visit, "outpatient", level=level["outpatient"], calendar=days.OUTPATIENT,
                fixed=fixed, planned=planned),
        _scaled(units, shop, "pharmacy", level=level["pharmacy"], calendar=days.PHARMACY),
    )  # fmt: skip


def _line(coefficients: list[float], value: Array) -> Reals:
    base, slope = coefficients
    return np.asarray(base + slope * value, dtype=np.float64)


def _never(run: Run, people: People) -> Reals:
    """Zero for persons who never go as outpatients, a little more than one for the others."""
    share = document("parameters")["frailty"]["never"]
    resident = people.group[0] == RESIDENT
    chance = np.where(resident, share["resident"], share["employee"])
    chance = np.where(people.condition.any(axis=1), 0.0, chance)
    rng = stream(run.seed, "never", run.cohort)
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


def _share(units: Units, calendar: Reals) -> Reals:
    """The part of its calendar year's activity that falls into each unit's insured days."""
    year_days = np.diff(days.YEAR_START)[units.year]
    return (calendar[units.end] - calendar[units.start]) / year_days


def _scaled(
    units: Units, rate: Reals, name: str, *, level: Reals, calendar: Reals,
    fixed: Reals | None = None, planned: Array | None = None,
) -> Reals:  # fmt: skip
    """Expected events: groups of a scheme keep their proportion, every scheme × year its target.

    `level` is the year's factor on the target. Events in `fixed` are drawn at their own rate,
    `planned` ones come from elsewhere; both count towards the target.
    """
    parameters = document("parameters")
    target, mean = parameters["targets"][name], parameters["group_means"][name]
    net = 1 - parameters["refund"]
    own = np.zeros(len(rate)) if fixed is None else fixed
    known = own if planned is None else own + planned
    exposure = (units.end - units.start) / 365.25
    out = rate * _share(units, calendar)
    for g, group in enumerate(GROUPS):
        mine = units.group == g
        wanted = mean[group] / net * exposure[mine].sum() - known[mine].sum()
        out[mine] *= wanted / out[mine].sum()
    for scheme, resident in (("employee", False), ("resident", True)):
        for year in range(len(days.YEARS)):
            mine = ((units.group == RESIDENT) == resident) & (units.year == year)
            wanted = target[scheme] / net * (exposure * level)[mine].sum() - known[mine].sum()
            out[mine] *= wanted / out[mine].sum()
    total: Reals = out + own
    return total
