"""The insured: who they are, when enrolled and as what, how frail, how chronically ill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, Reals, pick, stream
from synthetic.bureau.days import DAYS, YEAR_START, day_of
from synthetic.bureau.settings import ACTIVE, GROUPS, RESIDENT, RETIRED, Run, document

NEVER = 99_999
CONDITIONS = ("htn", "dm", "chd", "stroke", "copd", "dialysis", "cancer")
_GRID = 100_001  # points of the distributions of frailty
_AGES = (0, 35, 45, 55, 65, 75)
_PREVALENCE = {
    "htn": (0.01, 0.05, 0.12, 0.24, 0.34, 0.38),
    "dm": (0.0015, 0.015, 0.04, 0.072, 0.104, 0.104),
    "chd": (0.0, 0.005, 0.02, 0.06, 0.12, 0.18),
    "stroke": (0.0, 0.003, 0.01, 0.03, 0.06, 0.10),
    "copd": (0.001, 0.003, 0.01, 0.03, 0.06, 0.09),
    "dialysis": (0.0001, 0.0003, 0.0008, 0.0014, 0.002, 0.002),
    "cancer": (0.001, 0.003, 0.008, 0.015, 0.025, 0.025),
}


@dataclass(frozen=True)
class People:
    """One entry per person. Enrolment is one or two spells [start, end) of a group each.

    `civil` and `pooled_only` hold for the person's time as an employee, whenever that is.
    """

    female: Flags
    birth: Ints
    county: Ints
    group: tuple[Ints, Ints]
    start: tuple[Ints, Ints]
    end: tuple[Ints, Ints]
    death: Ints
    civil: Flags
    pooled_only: Flags
    special: Ints
    condition: Flags
    use: Reals
    illness: Reals
    credit: Ints
    opening: Ints

    def __len__(self) -> int:
        return len(self.birth)


def counties() -> tuple[str, ...]:
    """County codes by index; the last one is the small county."""
    parameters = document("parameters")
    return (*parameters["counties"], parameters["small_county"]["code"])


def populate(run: Run) -> People:
    """Draw the whole population."""
    n, rng = run.persons, stream(run.seed, "people", run.cohort)
    parameters = document("parameters")
    small = np.zeros(n, dtype=bool)
    if run.cohort == 0:
        small[rng.choice(n, parameters["small_county"]["persons"], replace=False)] = True
    group = pick(rng, np.array([parameters["groups"][g] for g in GROUPS]), n)
    group[small & (group == RESIDENT)] = ACTIVE
    county = pick(rng, np.array(list(parameters["counties"].values())), n)
    county[small] = len(parameters["counties"])
    age = _ages(rng, group)
    birth = np.floor(day_of("2024-01-01") - (age + rng.random(n)) * 365.25).astype(np.int64)
    birth = np.minimum(birth, DAYS - 40)
    male_share = np.array([parameters["male"][g] for g in GROUPS])
    female = rng.random(n) >= male_share[group]
    death = np.where(small, NEVER, _deaths(rng, birth, female))
    spells = _spells(rng, group, birth, death, small)
    use, illness = _frailty(rng, n)
    age24 = np.clip((day_of("2024-01-01") - birth) // 365, 0, 110)
    return People(
        female=female,
        birth=birth,
        county=county,
        group=spells[0],
        start=spells[1],
        end=spells[2],
        death=death,
        civil=rng.random(n) < 0.04,
        pooled_only=rng.random(n) < 0.07,
        special=_special(rng, group),
        condition=_conditions(rng, age24),
        use=use,
        illness=illness,
        credit=_credits(rng, group),
        opening=np.where(group == RESIDENT, 0, rng.gamma(1.2, 150_000, n)).astype(np.int64),
    )


def _ages(rng: np.random.Generator, group: Ints) -> Ints:
    age = np.zeros(len(group), dtype=np.int64)
    for g, name in enumerate(GROUPS):
        bands = np.array(document("parameters")["age_mix"][name], dtype=np.float64)
        mine = np.flatnonzero(group == g)
        band = pick(rng, bands[:, 2], len(mine))
        low, high = bands[band, 0], bands[band, 1]
        age[mine] = np.floor(low + rng.random(len(mine)) * (high - low + 1))
    return age


def _deaths(rng: np.random.Generator, birth: Ints, female: Flags) -> Ints:
    """Day of death by Gompertz hazards, from the window's start or birth on."""
    a = np.where(female, 5e-5, 8e-5)
    b = np.where(female, 0.09, 0.088)
    begin = np.maximum(0, birth)
    age = (begin - birth) / 365.25
    years = np.log1p(rng.exponential(1.0, len(birth)) * b / (a * np.exp(b * age))) / b
    day = begin + np.ceil(years * 365.25)
    # Insurance ends the day after, which must still lie in the window.
    return np.where(day < DAYS - 1, day, NEVER).astype(np.int64)


def _spells(
    rng: np.random.Generator, group: Ints, birth: Ints, death: Ints, small: Flags
) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints], tuple[Ints, Ints]]:
    """At most one change each: retirement, a move between schemes, or a year dropped out."""
    n = len(group)
    rates = document("parameters")["dynamics"]
    start = np.maximum(birth, 0)
    leave = np.ceil(rng.exponential(365.25 / rates["out"], n)).astype(np.int64) + start
    end = np.minimum(np.where(death == NEVER, NEVER, death + 1), leave)
    end = np.where(small | (end >= DAYS), NEVER, end)
    second, begin2, cut = group.copy(), np.full(n, -1), np.full(n, NEVER)
    age_days = 60 * 365.25 + rng.integers(0, 365, n)
    retire = (birth + age_days).astype(np.int64)
    retiring = (group == ACTIVE) & (retire > 0) & (retire < DAYS) & ~small
    move = np.ceil(rng.exponential(365.25 / rates["move"], n)).astype(np.int64)
    years = (move - birth) / 365.25
    moving = (move < DAYS) & (years > 17) & (years < 58) & (group != RETIRED) & ~retiring & ~small
    drop_year = 1 + np.floor(rng.exponential(1 / rates["drop"], n)).astype(np.int64)
    returning = rng.random(n) < rates["back"]
    drops = (group == RESIDENT) & (drop_year < 4) & ~moving & (birth < 0)
    drop = YEAR_START[np.minimum(drop_year, 4)]
    for mask, day, later in ((retiring, retire, RETIRED), (moving, move, -1)):
        cut[mask], begin2[mask] = day[mask], day[mask]
        second[mask] = later if later >= 0 else np.where(group[mask] == ACTIVE, RESIDENT, ACTIVE)
    cut[drops] = drop[drops]
    back = drops & returning & (drop_year < 3)
    begin2[back] = YEAR_START[np.minimum(drop_year + 1, 4)][back]
    end1 = np.minimum(end, cut)
    has2 = (begin2 >= 0) & (begin2 < end)
    return (
        (group, np.where(has2, second, -1)),
        (start, np.where(has2, begin2, -1)),
        (end1, np.where(has2, end, -1)),
    )


def _frailty(rng: np.random.Generator, n: int) -> tuple[Reals, Reals]:
    """Yearly multipliers of use and of illness, mean one, correlated and carried over years."""
    parameters = document("parameters")["frailty"]
    rho, link = parameters["autoregression"], parameters["inpatient_correlation"]
    grid_z = np.sort(rng.standard_normal(_GRID))
    usual, ill = (rng.gamma(s, 1 / s, _GRID) for s in parameters["shape"])
    heavy = np.arange(_GRID) < parameters["heavy"]["share"] * _GRID
    ill = np.where(heavy, parameters["heavy"]["times"] * rng.gamma(3.0, 1 / 3, len(ill)), ill)
    grids = [np.sort(usual), np.sort(ill / ill.mean())]
    z = np.empty((n, 4, 2))
    z[:, 0] = rng.standard_normal((n, 2))
    for year in range(1, 4):
        z[:, year] = rho * z[:, year - 1] + np.sqrt(1 - rho**2) * rng.standard_normal((n, 2))
    mixed = link * z[:, :, 0] + np.sqrt(1 - link**2) * z[:, :, 1]
    use = np.interp(z[:, :, 0], grid_z, grids[0])
    return use, np.interp(mixed, grid_z, grids[1])


def _special(rng: np.random.Generator, group: Ints) -> Ints:
    """0 none, 1 extreme poverty, 2 minimum living allowance, 3 low income (residents only)."""
    kind = pick(rng, np.array([0.94, 0.01, 0.035, 0.015]), len(group))
    return np.where(group == RESIDENT, kind, 0)


def _conditions(rng: np.random.Generator, age: Array) -> Flags:
    band = np.searchsorted(np.array(_AGES), age, side="right") - 1
    chance = np.array([_PREVALENCE[c] for c in CONDITIONS])[:, band]
    held = rng.random(chance.shape) < chance
    held[1] |= held[0] & (rng.random(len(age)) < 0.14)  # hypertension brings diabetes
    return np.ascontiguousarray(held.T)


def _credits(rng: np.random.Generator, group: Ints) -> Ints:
    """Monthly account credit in fen: 2 % of the base when active, a fixed sum when retired."""
    active = np.exp(rng.normal(np.log(11_500), 0.35, len(group)))
    return np.where(group == RETIRED, 10_500, active).astype(np.int64)
