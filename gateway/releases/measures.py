"""Figures as they are published: each measure's definition applied to the shown cells.

Base figures are rounded by the profile; ratios are computed from the rounded parts, so nothing is
published that the published parts would not give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.catalogue.model import (
    Banded,
    Grain,
    Measure,
    Persons,
    Quantile,
    Ratio,
    Sum,
    Variation,
)
from gateway.releases.facts import Period
from gateway.releases.kernel import Floats, Ints
from gateway.releases.sdc import Profile, percentile, ratio, round_count, round_significant
from gateway.releases.shapes import parts
from gateway.releases.shown import ABSENT, HIDDEN, OK, ROUNDED, SUPPRESSED, Figure, Marks, Shown

_DAYS_IN_4_YEARS = 1461
_CV_DECIMALS = 2


@dataclass(frozen=True)
class Rules:
    """How figures are rounded: thresholds of the profile and the bureau's rounding key."""

    profile: Profile
    key: bytes

    def count(self, values: Ints, floor: int = 0) -> Ints:
        return round_count(values, self.profile.count("count_round"), self.key, floor)

    def amount(self, values: Ints) -> Ints:
        return round_significant(values, self.profile.count("amount_sig_digits"))


def figures(shown: Shown, rules: Rules) -> dict[str, Figure]:
    """Every measure of the service over the shown cells, internal ones included."""
    service = shown.table.plan.service
    found: dict[str, Figure] = {}
    waiting = list(service.measures)
    while waiting:
        measure = next(m for m in waiting if _ready(m, found))
        waiting.remove(measure)
        found[measure.name] = _figure(shown, rules, measure, found)
    return found


def _ready(measure: Measure, found: Mapping[str, Figure]) -> bool:
    define = measure.define
    return not isinstance(define, Ratio) or {define.num, define.den} <= found.keys()


def _figure(shown: Shown, rules: Rules, measure: Measure, found: Mapping[str, Figure]) -> Figure:
    define = measure.define
    match define:
        case Ratio():
            raw = _ratio(shown, define, found)
        case Sum() | Persons():
            raw = _base(shown, rules, define)
        case Quantile():
            raw = _quantile(shown, rules, define)
        case Variation():
            raw = _variation(shown, rules, define)
        case Banded():
            raw = _band(shown, define)
    if measure.at:
        raw = _at(shown, measure, raw)
    return _where_offered(shown, measure, raw)


def _where_offered(shown: Shown, measure: Measure, raw: Figure) -> Figure:
    plan = shown.table.plan
    offered = shown.where(lambda block: measure.name in plan.fits[block.shape].measures)
    marks = np.where(offered, raw.marks, ABSENT).astype(np.uint8)
    values = np.where((marks == ROUNDED) | (marks == OK), raw.values, 0)
    return Figure(values, marks, raw.scale, raw.labels)


def _base(shown: Shown, rules: Rules, define: Sum | Persons) -> Figure:
    if isinstance(define, Persons):
        persons = shown.gather(lambda block: block.persons)
        return Figure(rules.count(persons, rules.profile.k), shown.marks)
    name = (define.fact, define.column)
    raw = shown.gather(lambda block: block.sums.get(name))
    scale = shown.table.plan.facts[define.fact].scales[define.column]
    if define.style == "amount":
        return Figure(rules.amount(raw), shown.marks, scale)
    if define.style == "person_time":
        raw = _nearest(raw * 4, _DAYS_IN_4_YEARS)
    return Figure(rules.count(_nearest(raw, 10**scale)), shown.marks)


def _nearest(values: Ints, divisor: int) -> Ints:
    """Whole quotient, half away from zero."""
    size: Ints = (2 * np.abs(values) + divisor) // (2 * divisor)
    return np.sign(values) * size


def _marked(shown: Shown, held: npt.NDArray[np.bool_]) -> Marks:
    """Marks of cells, a figure that does not hold by itself being suppressed."""
    return np.where(held | (shown.marks != ROUNDED), shown.marks, SUPPRESSED).astype(np.uint8)


def _each(
    shown: Shown, define: Quantile | Variation, rules: Rules,
    read: Callable[[Ints, Ints], tuple[Ints, npt.NDArray[np.bool_]]],
) -> tuple[Ints, npt.NDArray[np.bool_]]:  # fmt: skip
    """A figure from each cell's records; it holds only where these come from k persons."""
    values = np.zeros(len(shown), np.int64)
    held = np.zeros(len(shown), np.bool_)
    for block, part, own in shown.by_block:
        records = block.records.get((define.fact, define.column))
        if records is not None and len(records.values):
            value, holds = read(records.values, records.starts)
            values[part] = value[own]
            held[part] = (holds & (records.persons >= rules.profile.k))[own]
    return values, held


def _quantile(shown: Shown, rules: Rules, define: Quantile) -> Figure:
    def read(values: Ints, starts: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        return percentile(values, starts, define.p, rules.profile)

    values, held = _each(shown, define, rules, read)
    scale = shown.table.plan.facts[define.fact].scales[define.column]
    return Figure(rules.amount(values), _marked(shown, held), scale)


def _variation(shown: Shown, rules: Rules, define: Variation) -> Figure:
    def read(values: Ints, starts: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        return _coefficient(values, starts, define.min_n)

    values, held = _each(shown, define, rules, read)
    return Figure(values, _marked(shown, held), _CV_DECIMALS)


def _coefficient(values: Ints, starts: Ints, min_n: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """SD ÷ mean of each cell in hundredths; sorted input keeps the float sums reproducible."""
    count = np.diff(starts)
    one = np.maximum(count, 1)
    mean = _sums(values.astype(np.float64), starts) / one
    spread = _sums(np.square(values - np.repeat(mean, count)), starts) / np.maximum(one - 1, 1)
    held = (count >= min_n) & (mean > 0)
    cv = np.divide(np.sqrt(spread), mean, out=np.zeros(len(mean)), where=held)
    return np.rint(cv * 10**_CV_DECIMALS).astype(np.int64), held


def _sums(values: Floats, starts: Ints) -> Floats:
    """Sum of each range; empty ranges are 0."""
    total = np.zeros(len(starts) - 1)
    filled = np.flatnonzero(np.diff(starts) > 0)
    total[filled] = np.add.reduceat(values, starts[:-1][filled])
    return total


def _band(shown: Shown, define: Banded) -> Figure:
    index = np.zeros(len(shown))
    for block, part, own in shown.by_block:
        squares = block.squares.get(define.stat)
        if squares is not None:
            whole = np.maximum(block.magnitude[own].astype(np.float64), 1.0)
            index[part] = squares[own] / whole**2
    place = np.searchsorted(np.array(define.edges), index, side="left")
    marks = np.where(shown.marks == ROUNDED, OK, shown.marks).astype(np.uint8)
    return Figure(place.astype(np.int64), marks, labels=define.labels)


def _at(shown: Shown, measure: Measure, raw: Figure) -> Figure:
    """The figure of the cell with the pivot's value; cells nobody is in are suppressed."""
    plan = shown.table.plan
    digits = {d: plan.domains[d].values.index(value) for d, value in measure.at.items()}
    place = shown.related(lambda named: (*named, *digits), np.arange(len(plan.periods)), digits)
    return _moved(raw, place, shown)


def _moved(raw: Figure, place: Ints, shown: Shown) -> Figure:
    """A figure read at other cells; cells that are not shown are suppressed."""
    there = place >= 0
    values = np.where(there, raw.values[place], 0) if len(raw.values) else raw.values
    marks = np.where(there, raw.marks[place], SUPPRESSED) if len(raw.marks) else raw.marks
    marks = np.where(shown.marks == HIDDEN, HIDDEN, marks)
    return Figure(values, marks.astype(np.uint8), raw.scale, raw.labels)


def _ratio(shown: Shown, define: Ratio, found: Mapping[str, Figure]) -> Figure:
    num, den = found[define.num], found[define.den]
    if define.over or define.lag_years:
        den = _moved(den, _denominators(shown, define), shown)
    return quotient(define, num, den)


def quotient(define: Ratio, num: Figure, den: Figure) -> Figure:
    """A ratio of two published figures of the same cells."""
    open_ = num.open & den.open
    top = np.where(open_, num.values, 0) * 10**den.scale
    bottom = np.where(open_, den.values, 0) * (define.divisor * 10**num.scale)
    value = ratio(top, bottom, define.scale, define.decimals)
    held = open_ & ~np.isnan(value)
    whole = np.rint(np.where(held, value, 0) * 10**define.decimals).astype(np.int64)
    whole -= 10**define.decimals if define.minus_one else 0
    return Figure(whole, _worse(num.marks, den.marks, held), define.decimals)


def _worse(num: Marks, den: Marks, held: npt.NDArray[np.bool_]) -> Marks:
    """A ratio is rounded where it holds; else it is hidden as its hidden part is."""
    hidden = np.where((num == HIDDEN) | (den == HIDDEN), HIDDEN, SUPPRESSED)
    return np.where(held, ROUNDED, hidden).astype(np.uint8)


def _denominators(shown: Shown, define: Ratio) -> Ints:
    plan = shown.table.plan
    place = {(p.grain, p.label): i for i, p in enumerate(plan.periods)}
    earlier = [place.get(years_before(p, define.lag_years), -1) for p in plan.periods]
    return shown.related(
        lambda named: parts(plan.service, define, tuple(named))[1],
        np.array(earlier, np.int64),
        {},
    )


def years_before(period: Period, years: int) -> tuple[Grain, str]:
    """Grain and label of the same period some years earlier."""
    return period.grain, f"{int(period.label[:4]) - years:04d}{period.label[4:]}"
