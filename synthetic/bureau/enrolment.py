"""Person-years: who is insured as what on which days of which year, and the enrolment rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, Reals
from synthetic.bureau.days import DAYS, YEAR_START
from synthetic.bureau.people import NEVER, People
from synthetic.bureau.settings import RESIDENT

PSN_TYPES = ("11", "12", "1401", "1402", "1403", "1404", "15", "16")


@dataclass(frozen=True)
class Units:
    """One entry per person, spell and calendar year with insured days [start, end), by person.

    `row` is the enrolment row (psn_insu_d) the unit belongs to, `kind` indexes PSN_TYPES.
    """

    person: Ints
    year: Ints
    group: Ints
    start: Ints
    end: Ints
    kind: Ints
    row: Ints

    def part(self, first: int, last: int) -> Units:
        """The units of persons first … last-1."""
        a, b = np.searchsorted(self.person, [first, last])
        return Units(*(getattr(self, name)[a:b] for name in self.__dataclass_fields__))


def units(people: People) -> Units:
    """All person-years; an enrolment row ends where spell or person category changes."""
    n = len(people)
    person = np.repeat(np.arange(n), 8)
    spell = np.tile(np.repeat([0, 1], 4), n)
    year = np.tile(np.arange(4), 2 * n)
    group = np.stack(people.group, axis=1)[person, spell]
    start = np.maximum(np.stack(people.start, axis=1)[person, spell], YEAR_START[year])
    stop = np.minimum(np.stack(people.end, axis=1)[person, spell], YEAR_START[year + 1])
    kept = (group >= 0) & (start < stop)
    person, spell, year, group = person[kept], spell[kept], year[kept], group[kept]
    kind = _kinds(people, person, year, group)
    fresh = np.ones(len(person), dtype=bool)
    same = (person[1:] == person[:-1]) & (spell[1:] == spell[:-1]) & (kind[1:] == kind[:-1])
    fresh[1:] = ~same
    row = np.cumsum(fresh) - 1
    return Units(person, year, group, start[kept], stop[kept], kind, row)


def _kinds(people: People, person: Ints, year: Ints, group: Ints) -> Ints:
    """Category by the age reached in the calendar year; residents change it on 1 January."""
    born = (people.birth[person] + 2022 * 365.25).astype(np.int64)
    age = (2022 + year) - np.floor(born / 365.25).astype(np.int64)
    student = (people.birth[person] % 10) < 6
    conditions = [age < 1, age < 6, age < 18, (age < 22) & student, age < 60]
    resident = np.select(conditions, [2, 3, 4, 5, 6], 7)
    return np.where(group == RESIDENT, resident, group)


@dataclass(frozen=True)
class Enrolment:
    """One enrolment row of psn_insu_d; `end` is NEVER while insured."""

    person: Ints
    group: Ints
    kind: Ints
    start: Ints
    end: Ints
    status: Array


def enrolments(people: People, found: Units) -> Enrolment:
    """The rows of psn_insu_d, in the order of `Units.row`."""
    first = np.flatnonzero(np.diff(found.row, prepend=-1))
    last = np.append(first[1:], len(found.row)) - 1
    person = found.person[first]
    end = np.where(found.end[last] >= DAYS, NEVER, found.end[last])
    gone = (end != NEVER) & (people.death[person] + 1 == end)
    follows = np.zeros(len(first), dtype=bool)
    follows[:-1] = person[1:] == person[:-1]
    ended: Flags = gone | follows
    status = np.where(end == NEVER, 0, np.where(ended, 2, 1))
    return Enrolment(person, found.group[first], found.kind[first], found.start[first], end, status)


def dates(rng: np.random.Generator, units: Units, unit: Ints, calendar: Reals) -> Ints:
    """A day inside the unit's insured days for each event, by how busy days are."""
    low, high = calendar[units.start[unit]], calendar[units.end[unit]]
    at = low + rng.random(len(unit)) * (high - low)
    found = np.searchsorted(calendar, at, side="right") - 1
    return np.clip(found, units.start[unit], units.end[unit] - 1)
