"""Inpatient stays of the whole city: when, why, where, how long, how costly; never overlapping."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from synthetic.bureau import days
from synthetic.bureau.arrays import Array, Flags, Ints, Reals, ranks, stream
from synthetic.bureau.diagnoses import column, dx_codes, read
from synthetic.bureau.enrolment import Units, dates
from synthetic.bureau.institutions import CROSS, IN_PROVINCE, LOCAL, Institutions
from synthetic.bureau.people import People, counties
from synthetic.bureau.settings import ACTIVE, RESIDENT, RETIRED, Run, document

FLU_WINDOW = (days.day_of("2023-12-01"), days.day_of("2024-02-01"))
FLU_FACTOR = 2.1
SPLIT_SHARE = 0.15
_NO_LOS_CAP = 90
_FITTINGS = 4  # rounds of scaling costs to levels and groups by turns
_SPREAD = 0.55  # of the log cost of stays of one diagnosis at one level
_TIE = 0.975  # of their cost and length; .65 over all stays, since levels differ in cost alone


@dataclass(frozen=True)
class Stays:
    """One entry per stay, by person and begin. `cost` is in yuan; `entry` indexes `stays.csv`."""

    person: Ints
    unit: Ints
    begin: Ints
    end: Ints
    entry: Ints
    level: Ints
    place: Ints
    inst: Ints
    severity: Reals
    cost: Reals

    def take(self, index: Array) -> Stays:
        """The stays at these positions (or under this mask)."""
        return Stays(*(getattr(self, f.name)[index] for f in fields(self)))

    def part(self, first: int, last: int) -> Stays:
        """The stays of persons first … last-1."""
        a, b = np.searchsorted(self.person, [first, last])
        return self.take(np.arange(a, b))


def drawn(run: Run, people: People, units: Units, expected: Reals, places: Institutions) -> Stays:
    """Every admission that illness would bring in the window, by person and begin."""
    rng = stream(run.seed, "stays", run.cohort)
    unit = np.repeat(np.arange(len(expected)), rng.poisson(expected))
    begin = dates(rng, units, unit, days.INPATIENT)
    person = units.person[unit]
    order = np.lexsort((begin, person))
    unit, begin, person = unit[order], begin[order], person[order]
    age = np.clip((begin - people.birth[person]) // 365.25, 0, 99).astype(np.int64)
    table = read("stays")
    entry = _chronic(rng, person, table.draw(rng, people.female[person], age))
    unit, begin, entry = _wave(rng, people, units, unit, begin=begin, entry=entry)
    person = units.person[unit]
    level, place = _levels(rng, units.group[unit], len(unit))
    inst = _institutions(rng, places, people, person, level=level, place=place)
    severity = rng.standard_normal(len(unit))
    course = 0.85 * severity + 0.527 * rng.standard_normal(len(unit))
    end = begin + _lengths(rng, entry, level, course)
    cost = np.exp(_SPREAD * course - _SPREAD**2 / 2) * column(table, "factor")[entry]
    return Stays(person, unit, begin, end, entry, level, place, inst, severity, cost)


def admit(run: Run, people: People, units: Units, wanted: Stays, places: Institutions) -> Stays:
    """The stays that take place: never two at a time, priced to the means of their level."""
    rng = stream(run.seed, "admission", run.cohort)
    return _priced(run, units, _apart(people, units, _split(rng, wanted, places)))


def _chronic(rng: np.random.Generator, person: Ints, entry: Ints) -> Ints:
    """Half of the repeated stays of a person are for the same disease as the one before."""
    again = (ranks(person) > 0) & (rng.random(len(person)) < 0.5)
    births = np.array([c.startswith(("O", "P", "K80", "K35", "H25")) for c in dx_codes()])
    dx = read("stays").dx
    source = np.arange(len(person))
    source[again] -= 1
    repeatable = ~births[dx[entry[source]]] & ~births[dx[entry]]
    return np.where(repeatable, entry[source], entry)


def _wave(
    rng: np.random.Generator, people: People, units: Units, unit: Ints, *, begin: Ints, entry: Ints
) -> tuple[Ints, Ints, Ints]:
    """PT3: respiratory infections J10–J18 of children × 2.1 in December 2023 and January 2024."""
    infection = np.array([_is_wave(c) for c in dx_codes()])[read("stays").dx[entry]]
    source, child = wave(rng, people, units, unit, day=begin, infection=infection)
    unit = np.concatenate([unit, child])
    begin, entry = np.concatenate([begin, begin[source]]), np.concatenate([entry, entry[source]])
    order = np.lexsort((begin, units.person[unit]))
    return unit[order], begin[order], entry[order]


def wave(
    rng: np.random.Generator, people: People, units: Units, unit: Ints, *, day: Ints,
    infection: Flags,
) -> tuple[Ints, Ints]:  # fmt: skip
    """PT3: (which event, unit of another child who has one like it on the same day)."""
    last = FLU_WINDOW[1] - 15 * 365.25
    child = people.birth[units.person[unit]] >= last
    source = np.flatnonzero(infection & child & (day >= FLU_WINDOW[0]) & (day < FLU_WINDOW[1]))
    whole, part = divmod(FLU_FACTOR - 1, 1)
    source = np.repeat(source, int(whole) + (rng.random(len(source)) < part))
    young = people.birth[units.person] >= last
    chosen = np.zeros(len(source), dtype=np.int64)
    for year in np.unique(days.YEAR_OF[day[source]]):
        now = np.flatnonzero(days.YEAR_OF[day[source]] == year)
        low, high = np.clip(FLU_WINDOW, days.YEAR_START[year], days.YEAR_START[year + 1])
        pool = np.flatnonzero(
            young & (units.year == year) & (units.start <= low) & (units.end >= high)
        )
        chosen[now] = rng.choice(pool, len(now)) if len(pool) else unit[source[now]]
    return source, chosen


def _is_wave(code: str) -> bool:
    return "J10" <= code[:3] <= "J18"


def _levels(rng: np.random.Generator, group: Ints, n: int) -> tuple[Ints, Ints]:
    """Hospital level by scheme, and whether at home, elsewhere in the province or beyond."""
    parameters = document("parameters")
    mix = np.array([parameters["level_mix"]["stay"][k] for k in ("employee", "resident")])
    running = np.cumsum(mix, axis=1)[(group == RESIDENT).astype(np.int64)]
    chance = rng.random(n)
    level = np.minimum((chance[:, None] >= running).sum(axis=1), 2)
    province, beyond = parameters["out_of_area"]["stay"]
    able = 1 - mix[(group == RESIDENT).astype(np.int64), 2]  # nobody travels to primary care
    chance = rng.random(n) * able
    place = np.select([chance < province, chance < province + beyond], [IN_PROVINCE, CROSS], LOCAL)
    return level, np.where(level == 2, LOCAL, place)


def _institutions(
    rng: np.random.Generator,
    places: Institutions,
    people: People,
    person: Ints,
    *,
    level: Ints,
    place: Ints,
) -> Ints:
    """Larger hospitals city-wide by size, half of the others in the person's own county."""
    inst = np.zeros(len(person), dtype=np.int64)
    for where in (LOCAL, IN_PROVINCE, CROSS):
        for lv in range(3):
            mine = np.flatnonzero((level == lv) & (place == where))
            if len(mine):
                inst[mine] = places.draw(rng, lv, where, len(mine))
    near = (level > 0) & (place == LOCAL) & (rng.random(len(person)) < 0.5)
    for c, county in enumerate(counties()):
        for lv in (1, 2):
            mine = np.flatnonzero(near & (level == lv) & (people.county[person] == c))
            seats = places.seats(lv, county)
            inst[mine] = seats[rng.integers(0, len(seats), len(mine))]
    return inst


def _lengths(rng: np.random.Generator, entry: Ints, level: Ints, course: Reals) -> Ints:
    """Days from admission to discharge: gamma of shape 2 about the diagnosis' mean, tied to cost.

    The gamma is a cube of a normal variable (Wilson and Hilferty). Each level has its mean.
    """
    usual = column(read("stays"), "los")[entry]
    aim = np.array(document("parameters")["length"])
    mean = np.bincount(level, usual, 3) / np.maximum(np.bincount(level, minlength=3), 1)
    usual *= (aim / np.maximum(mean, 1.0))[level]
    z = _TIE * course + np.sqrt(1 - _TIE**2) * rng.standard_normal(len(entry))
    noise = np.maximum(17 / 18 + z / np.sqrt(18), 0.2) ** 3
    length: Ints = np.clip(np.rint(usual * noise), 1, _NO_LOS_CAP).astype(np.int64)
    return length


def _split(rng: np.random.Generator, stays: Stays, places: Institutions) -> Stays:
    """PT7: one hospital sends patients home and admits them again for the same diagnosis."""
    hospital = split_hospital(places)
    long = (stays.inst == hospital) & (stays.end - stays.begin >= 4)
    chosen = long & (rng.random(len(stays.person)) < SPLIT_SHARE * 1.56)
    index = np.repeat(np.arange(len(chosen)), 1 + chosen)
    second = np.diff(index, prepend=-1) == 0
    first = np.append(second[1:], False)
    out = stays.take(index)
    half = (out.end - out.begin) // 2
    gap = rng.integers(1, 11, len(index))
    begin = np.where(second, out.begin + half + gap, out.begin)
    end = np.where(second, out.end + gap, np.where(first, out.begin + half, out.end))
    cost = np.where(first | second, out.cost * 0.6, out.cost)
    return Stays(
        out.person, out.unit, begin, end, out.entry, out.level, out.place, out.inst,
        out.severity, cost,
    )  # fmt: skip


def split_hospital(places: Institutions) -> int:
    """The planted hospital: a secondary one in county 990103."""
    return int(places.seats(1, "990103")[0])


def _apart(people: People, units: Units, stays: Stays) -> Stays:
    """Stays of a person are at least a day apart; what leaves the insured days is dropped."""
    order = np.lexsort((stays.begin, stays.person))
    stays = stays.take(order)
    begin, end = stays.begin.copy(), stays.end.copy()
    rank = ranks(stays.person)
    for k in range(1, int(rank.max(initial=0)) + 1):
        mine = np.flatnonzero(rank == k)
        shift = np.maximum(0, end[mine - 1] + 1 - begin[mine])
        begin[mine] += shift
        end[mine] += shift
    end = np.minimum(end, np.maximum(people.death[stays.person], begin))
    kept: Flags = begin < units.end[stays.unit]
    moved = Stays(
        stays.person, stays.unit, begin, end, stays.entry, stays.level, stays.place, stays.inst,
        stays.severity, stays.cost,
    )  # fmt: skip
    return moved.take(kept)


def _priced(run: Run, units: Units, stays: Stays) -> Stays:
    """PT8 tail, then exact scaling of each scheme × level to its mean cost of 2023–2025."""
    rng = stream(run.seed, "stay-cost", run.cohort)
    cost = stays.cost.copy()
    edge = np.quantile(cost, 0.992)
    tail = cost > edge
    cost[tail] = 1.25 * edge * (1 - rng.random(int(tail.sum()))) ** (-1 / 2.3)
    targets = document("parameters")["targets"]["stay_cost"]
    trend = np.array(document("parameters")["cost_trend"])
    scale = document("parameters")["stay_scale"]
    counted = stays.begin >= days.YEAR_START[1]
    resident = units.group[stays.unit] == RESIDENT
    cost *= trend[units.year[stays.unit]]
    part = _retired_part(units)
    for _ in range(_FITTINGS):
        _fit_retired(units.group[stays.unit], cost, counted, part)
        for name, mine in (("employee", ~resident), ("resident", resident)):
            for level in range(3):
                cell = mine & (stays.level == level)
                used = cost[cell & counted]
                if len(used):
                    cost[cell] *= scale[name] * targets[name][level] / used.mean()
    cost = np.minimum(cost, 1_500_000)
    return Stays(
        stays.person, stays.unit, stays.begin, stays.end, stays.entry, stays.level, stays.place,
        stays.inst, stays.severity, cost,
    )  # fmt: skip


def _retired_part(units: Units) -> float:
    """The part of what employees' stays cost that the retired have, by their cost per head."""
    head = document("parameters")["targets"]["stays_per_head"]
    length = np.where(units.year > 0, units.end - units.start, 0)
    active, retired = (
        head[name] * length[units.group == group].sum()
        for name, group in (("active", ACTIVE), ("retired", RETIRED))
    )
    return float(retired / (active + retired))


def _fit_retired(group: Ints, cost: Reals, counted: Flags, part: float) -> None:
    """Scale the costs of active and retired so that the retired have their part."""
    old, young = group == RETIRED, group == ACTIVE
    dear, cheap = cost[old & counted].sum(), cost[young & counted].sum()
    if dear > 0 and cheap > 0:
        cost[old] *= part * (dear + cheap) / dear
        cost[young] *= (1 - part) * (dear + cheap) / cheap
