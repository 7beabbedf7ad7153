"""Who is in a cohort: the question, step by step, on the index. Exact, and the same every time.

Work is bounded by the events of the codes asked for; nothing outside the period is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.cohorts.index import Array, CohortIndex, Events, Ints
from gateway.cohorts.question import (
    CohortQuestion,
    Criterion,
    EnrolledCriterion,
    EventCriterion,
    Period,
    ValueCriterion,
    Within,
)

EPOCH = date(2000, 1, 1)
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cohort:
    """A set of persons, sorted, and the name of the criteria that make it; `result`: it was what a
    question asked for, not a step on the way or a part of it."""

    key: str
    members: Array
    result: bool = False


@dataclass(frozen=True)
class Counted:
    """Everything an answer can tell of: the cohort after each criterion, the last one by index
    year, and how many months each of its members can be followed."""

    steps: tuple[Cohort, ...]  # the index event, then each criterion
    years: tuple[Cohort, ...]
    follow_up: Ints

    @property
    def final(self) -> Cohort:
        """Who is left in the end."""
        return self.steps[-1]


@dataclass(frozen=True)
class _Members:
    """Who has the index event, one row a person, sorted by person."""

    person: Array
    day: Ints
    age10: Array

    def kept(self, mask: Bools) -> _Members:
        return _Members(self.person[mask], self.day[mask], self.age10[mask])


def count(index: CohortIndex, question: CohortQuestion) -> Counted:
    """The cohort of a question; a code that the index does not have is had by nobody."""
    members = _entered(index, question)
    steps = [Cohort(question.key(()), members.person)]
    for number, criterion in enumerate(question.criteria, 1):
        members = members.kept(_holds(index, question, members, criterion))
        steps.append(Cohort(question.key(question.criteria[:number]), members.person))
    return Counted(
        tuple(steps),
        tuple(_by_year(question, members)),
        _follow_up(index, question.period, members),
    )


def _by_year(question: CohortQuestion, members: _Members) -> Iterator[Cohort]:
    years = year_of(members.day)
    for year in question.period.years:
        key = question.key((*question.criteria, question.of_year(year)))
        yield Cohort(key, members.person[years == int(year)])


def _entered(index: CohortIndex, question: CohortQuestion) -> _Members:
    """The first event of each person in the period; two of one day: that of the first city."""
    events = _inside(index.events(question.index.kind, question.index.codes), question.period)
    order = np.lexsort((events.age10, events.geo, events.day, events.person))
    person = events.person[order]
    first = np.ones(len(person), np.bool_)
    first[1:] = person[1:] != person[:-1]
    asked = [place for place, code in enumerate(index.geo) if code in question.geo]
    chosen = order[first]
    chosen = chosen[np.isin(events.geo[chosen], asked)]
    return _Members(
        events.person[chosen], events.day[chosen].astype(np.int64), events.age10[chosen]
    )


def _inside(events: Events, period: Period) -> Events:
    first, last = bounds(period)
    held = (events.day >= first) & (events.day <= last)
    return Events(events.person[held], events.day[held], events.geo[held], events.age10[held])


def _holds(
    index: CohortIndex, question: CohortQuestion, members: _Members, criterion: Criterion
) -> Bools:
    match criterion:
        case ValueCriterion(kind="age10", values=values):
            return np.isin(members.age10, _places(index.ages, values))
        case ValueCriterion(kind="gend", values=values):
            return np.isin(index.gend[members.person], _places(index.sexes, values))
        case ValueCriterion(values=values):
            return np.isin(year_of(members.day), [int(year) for year in values])
        case EnrolledCriterion(before=before, after=after):
            return _enrolled(index, question.period, members, (before, after))
        case EventCriterion():
            has = _has(index, question.period, members, criterion)
            return ~has if criterion.exclude else has
    raise TypeError(f"no criterion: {type(criterion).__name__}")


def _places(values: Sequence[str], asked: Sequence[str]) -> list[int]:
    return [place for place, value in enumerate(values) if value in asked]


def _has(index: CohortIndex, period: Period, members: _Members, criterion: EventCriterion) -> Bools:
    events = _inside(index.events(criterion.kind, criterion.codes), period)
    if criterion.within is None:
        return np.isin(members.person, events.person)
    return _near(events, members, criterion.within)


def _near(events: Events, members: _Members, within: Within) -> Bools:
    """Whether there is an event 1 to N days before, or after, the index day."""
    known = np.sort(_at(events.person, events.day.astype(np.int64)))
    if within.relation == "before":
        first, last = members.day - within.days, members.day - 1
    else:
        first, last = members.day + 1, members.day + within.days
    begin = np.searchsorted(known, _at(members.person, first), side="left")
    end = np.searchsorted(known, _at(members.person, last), side="right")
    return end > begin


def _at(person: Array, day: Ints) -> Ints:
    """A person's day as one number that sorts by person, then day, before and after the epoch."""
    return (person.astype(np.int64) << 24) + (day + (1 << 23))


def _enrolled(
    index: CohortIndex, period: Period, members: _Members, months: tuple[int, int]
) -> Bools:
    before, after = _around(index, period, members)
    return (before >= months[0]) & (after >= months[1])


def _around(index: CohortIndex, period: Period, members: _Members) -> tuple[Ints, Ints]:
    """Months insured before and after the index month, as far as the period is looked at."""
    month = month_of(members.day)
    before, after = index.insured.around(members.person, month)
    first, last = int(period.first) * 12, int(period.last) * 12 + 11
    return np.minimum(before, month - first), np.minimum(after, last - month)


def _follow_up(index: CohortIndex, period: Period, members: _Members) -> Ints:
    _, after = _around(index, period, members)
    return np.maximum(after, 0)


def bounds(period: Period) -> tuple[int, int]:
    """The first and the last day of a period, as numbers."""
    first, last = date(int(period.first), 1, 1), date(int(period.last), 12, 31)
    return (first - EPOCH).days, (last - EPOCH).days


def month_of(day: Ints) -> Ints:
    """Months since the year 0, of days since the epoch."""
    found: Ints = (np.datetime64(EPOCH) + day.astype("timedelta64[D]")).astype("datetime64[M]")
    return found.astype(np.int64) + 1970 * 12


def year_of(day: Ints) -> Ints:
    """Calendar years of days since the epoch."""
    return month_of(day) // 12
