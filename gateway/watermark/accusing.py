"""Whose bits a file carries, with a bound on the chance that a named tenant is innocent.

A file gives for some carriers a reading: 0, 1, or between where copies were averaged. For each way
in which one, two or three tenants may have made it there is a score, the logarithm of how much more
likely the readings are if the tenant took part. An innocent tenant's bits do not depend on the file
(they are drawn by a keyed function the makers do not know), so the chance that an innocent reaches
a score is bounded exactly, whatever the makers did: Chernoff's bound over the biases alone, times
the number of tenants, of scores and of keys tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.watermark.code import WHOLE, Bools, Floats, Ints

FALSE_AT_MOST: Final = 1e-6
"""A tenant is named where the chance of naming any innocent one is at most this."""

_ERROR: Final = 0.02  # of readings that somebody changed by hand
_THETAS: Final = np.concatenate([np.linspace(0.05, 1.5, 30), [1.75, 2, 2.5, 3, 4, 6]])
_NO_CHANCE: Final = 1e-12
_LEAST: Final = 1e-250  # what is smaller is not worth telling apart

Responses: TypeAlias = tuple[float, ...]

SINGLE: Final = "one copy"
WAYS: Final[dict[str, Responses]] = {
    SINGLE: (0.0, 1.0),
    "two copies, mixed": (0.0, 0.5, 1.0),
    "two copies, higher taken": (0.0, 1.0, 1.0),
    "two copies, lower taken": (0.0, 0.0, 1.0),
    "three copies, mixed": (0.0, 1 / 3, 2 / 3, 1.0),
    "three copies, majority": (0.0, 0.0, 1.0, 1.0),
    "three copies, minority": (0.0, 1.0, 0.0, 1.0),
    "three copies, tossed": (0.0, 0.5, 0.5, 1.0),
    "three copies, higher taken": (0.0, 1.0, 1.0, 1.0),
    "three copies, lower taken": (0.0, 0.0, 0.0, 1.0),
}
"""How probable a 1 in the file is where 0, 1, … of the makers have a 1."""
ROWS: Final[dict[str, int]] = {"rows of two copies": 2, "rows of three copies": 3}
"""Whole rows taken from one of so many copies."""
SCORES: Final = len(WAYS) + len(ROWS)


@dataclass(frozen=True)
class Readings:
    """What a file says of carriers: 0 … 1 each, the bias of its bit, the row it stands in."""

    value: Floats
    bias: npt.NDArray[np.uint16]
    row: Ints

    def __len__(self) -> int:
        return len(self.value)

    @property
    def p(self) -> Floats:
        """The probability of a 1 among tenants."""
        return self.bias.astype(np.float64) / WHOLE


@dataclass(frozen=True)
class Score:
    """One way of looking: what a bit that is 1 or 0 adds, per carrier (or that a row agrees)."""

    name: str
    one: Floats
    zero: Floats
    chance: Floats  # of a 1, among the innocent
    by_row: bool = False


@dataclass(frozen=True)
class Verdict:
    """A tenant beside the file: how strongly, looked at how, and how often an innocent would be.

    `false_at_most` bounds the chance that any innocent tenant at all looks like this.
    """

    tenant: str
    score: float
    way: str
    agreeing: int
    readings: int
    false_at_most: float

    @property
    def named(self) -> bool:
        """Whether this is beyond the chance an innocent may be named with."""
        return self.false_at_most <= FALSE_AT_MOST


def verdicts(
    readings: Readings, tenants: Sequence[str], bits: Bools, tries: int = 1
) -> list[Verdict]:
    """Every tenant (a row of `bits` each), the most suspect first. `tries`: keys tried in all."""
    if not len(readings) or not len(tenants):
        return []
    best = np.full(len(tenants), np.inf)
    score = np.zeros(len(tenants))
    which = np.zeros(len(tenants), np.int64)
    ways = scores(readings)
    agree = _row_agreement(readings, bits)
    for i, way in enumerate(ways):
        held = agree if way.by_row else bits
        total = totals(way, held)
        chance = log_chance(way, total)
        better = chance < best
        best[better], score[better], which[better] = chance[better], total[better], i
    plain = (readings.value > 0.5) == bits
    tested = np.log(len(tenants) * len(ways) * tries)
    bound = np.clip(np.exp(np.maximum(best + tested, -600)), _LEAST, 1.0)
    found = [
        Verdict(
            tenant,
            float(score[t]),
            ways[int(which[t])].name,
            int(plain[t].sum()),
            len(readings),
            float(bound[t]),
        )
        for t, tenant in enumerate(tenants)
    ]
    return sorted(found, key=lambda one: (one.false_at_most, -one.score, one.tenant))


def scores(readings: Readings) -> list[Score]:
    """Every way of looking at the readings; none depends on any tenant's bits."""
    made = [_score(name, responses, readings) for name, responses in WAYS.items()]
    return made + [_row_score(name, copies, readings) for name, copies in ROWS.items()]


def totals(score: Score, held: Bools) -> Floats:
    """The score of each tenant: a row of bits (or of rows that agree) each."""
    found: Floats = held @ (score.one - score.zero) + score.zero.sum()
    return found


def log_chance(score: Score, total: Floats) -> Floats:
    """Bound of the logarithm of the chance that one innocent reaches at least this score.

    Chernoff: for any θ > 0 it is at most E exp(θ (S − s)), the mean over the biases. Every θ gives
    a true bound; the least of some is taken.
    """
    grown = _THETAS[:, None] * np.stack([score.one, score.zero])[:, None, :]
    with np.errstate(divide="ignore"):
        weight = np.log(np.stack([score.chance, 1 - score.chance]))[:, None, :]
    mean = np.logaddexp(grown[0] + weight[0], grown[1] + weight[1]).sum(axis=1)
    bound = (mean[:, None] - np.outer(_THETAS, total)).min(axis=0)
    found: Floats = np.minimum(bound, 0.0)
    return found


def _score(name: str, responses: Responses, readings: Readings) -> Score:
    """Log-likelihood ratios of one way of making the file."""
    p, value = readings.p, readings.value
    if_one, if_zero = _answered(responses, p)
    anyhow = p * if_one + (1 - p) * if_zero
    sharp = (value == 0) | (value == 1)
    one = np.where(value == 1, _ratio(if_one, anyhow), _ratio(1 - if_one, 1 - anyhow))
    zero = np.where(value == 1, _ratio(if_zero, anyhow), _ratio(1 - if_zero, 1 - anyhow))
    if len(responses) == 2:  # one copy has nothing between
        return Score(name, np.where(sharp, one, 0), np.where(sharp, zero, 0), p)
    mild = np.clip(value, _ERROR, 1 - _ERROR)  # of the averaged copies this part had a 1
    return Score(
        name,
        np.where(sharp, one, np.log(mild / p)),
        np.where(sharp, zero, np.log((1 - mild) / (1 - p))),
        p,
    )


def _answered(responses: Responses, p: Floats) -> tuple[Floats, Floats]:
    """The chance of reading a 1 where the tenant has a 1 or a 0, over the other makers' bits."""
    others = len(responses) - 2
    noisy = [(1 - _ERROR) * r + _ERROR * (1 - r) for r in responses]
    if_one, if_zero = np.zeros_like(p), np.zeros_like(p)
    for k in range(others + 1):
        weight = comb(others, k) * p**k * (1 - p) ** (others - k)
        if_one += weight * noisy[k + 1]
        if_zero += weight * noisy[k]
    return if_one, if_zero


def _ratio(part: Floats, whole: Floats) -> Floats:
    found: Floats = np.log(np.maximum(part, _NO_CHANCE) / np.maximum(whole, _NO_CHANCE))
    return found


def _row_score(name: str, copies: int, readings: Readings) -> Score:
    """A row is one of so many copies whole: agreeing in all of it counts by how rare that is."""
    chance = np.exp(_by_row(readings, np.log(_own_chance(readings))))
    agree = np.log((1 - _ERROR) / copies / chance + 1 - (1 - _ERROR) / copies)
    # What is left of the probability falls on rows that do not agree.
    rest = np.maximum(1 - chance * np.exp(agree), _NO_CHANCE)
    differ = np.log(rest / np.maximum(1 - chance, _NO_CHANCE))
    return Score(name, agree, differ, chance, by_row=True)


def _own_chance(readings: Readings) -> Floats:
    """The chance that an innocent bit is as the nearest reading."""
    return np.where(readings.value > 0.5, readings.p, 1 - readings.p)


def _by_row(readings: Readings, per_carrier: Floats) -> Floats:
    _, number = np.unique(readings.row, return_inverse=True)
    found: Floats = np.bincount(number, weights=per_carrier).astype(np.float64)
    return found


def _row_agreement(readings: Readings, bits: Bools) -> Bools:
    """For each tenant, the rows in which every reading is the tenant's own."""
    _, number = np.unique(readings.row, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(int(number.max()) + 1))
    wrong = ((readings.value > 0.5) != bits)[:, order]
    return ~np.logical_or.reduceat(wrong, starts, axis=1)
