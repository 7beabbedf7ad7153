"""PT6: who takes metformin, from when to when, how regularly, and each refill that follows.

A user starts once, refills as regularly as the person's adherence allows, and stops for good or
goes to an SGLT2 inhibitor on the day `prescribing.switch_days` names. Parameters are set so that
the proportion of days covered in the first 365 days has mean 0.62 over new users of any quarter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau.arrays import Ints, Reals, pick, stream
from synthetic.bureau.days import DAYS
from synthetic.bureau.enrolment import Units
from synthetic.bureau.people import CONDITIONS, People
from synthetic.bureau.settings import Run, document

_EVEN = (0.7548776662466927, 0.5698402909980532)  # their multiples fill a square evenly


@dataclass(frozen=True)
class Refills:
    """One entry per refill, by unit and day; `supply` is the days prescribed for."""

    unit: Ints
    day: Ints
    supply: Ints

    def part(self, low: int, high: int) -> Refills:
        """The refills of units low … high-1, their units counted from low."""
        a, b = np.searchsorted(self.unit, [low, high])
        return Refills(self.unit[a:b] - low, self.day[a:b], self.supply[a:b])


def refills(run: Run, people: People, units: Units) -> Refills:
    """Every refill of the window, inside the insured days of its person."""
    rng = stream(run.seed, "therapy", run.cohort)
    rules = document("parameters")["therapy"]
    diabetic = np.flatnonzero(people.condition[:, CONDITIONS.index("dm")])
    user = np.sort(diabetic[rng.random(len(diabetic)) < rules["share"]])
    first, last = rules["starts"]
    start = rng.uniform(first * 365.25, last * 365.25, len(user))
    regular, years = _habits(start, rules["adherence"], rules["stop"])
    stop = start + 365.25 * years
    day = np.where(start < 0, rng.random(len(user)) * 45, start)
    who, when, supply = _walk(rng, day, stop, regular, rules["supply"])
    return _insured(units, user[who], when, supply)


def _habits(start: Reals, span: list[float], hazard: float) -> tuple[Reals, Reals]:
    """Supply ÷ interval, and years until stopping, the same mix among those who start together."""
    turn = np.empty(len(start))
    turn[np.argsort(start, kind="stable")] = np.arange(1, len(start) + 1)
    first, second = (turn * step % 1 for step in _EVEN)
    low, high = span
    return low + (high - low) * np.sqrt(first), -np.log1p(-second) / hazard


def _walk(
    rng: np.random.Generator, day: Reals, stop: Reals, regular: Reals, mix: dict[int, float]
) -> tuple[Ints, Ints, Ints]:
    """(user, day, supply): the k-th refills of all users are drawn together."""
    choice = np.array(list(mix), dtype=np.int64)
    who: Ints = np.arange(len(day))
    parts: list[tuple[Ints, Ints, Ints]] = [(who[:0], who[:0], who[:0])]
    while True:
        going = (day < DAYS) & (day < stop[who])
        who, day = who[going], day[going]
        if not len(who):
            break
        supply = choice[pick(rng, np.array(list(mix.values())), len(who))]
        parts.append((who, day.astype(np.int64), supply))
        day = day + supply / regular[who] * (0.8 + 0.4 * rng.random(len(who)))
    user, when, amount = (np.concatenate([p[k] for p in parts]) for k in range(3))
    return user, when, amount


def _insured(units: Units, person: Ints, day: Ints, supply: Ints) -> Refills:
    """The unit of each refill; refills on days without insurance are dropped."""
    key = units.person * 4096 + units.start
    unit = np.searchsorted(key, person * 4096 + day, side="right") - 1
    safe = np.maximum(unit, 0)
    kept = (unit >= 0) & (units.person[safe] == person) & (day < units.end[safe])
    unit, day, supply = unit[kept], day[kept], supply[kept]
    order = np.lexsort((day, unit))
    return Refills(unit[order], day[order], supply[order])
