"""Is the mechanism as private as its ledger says? A canary person is put in and left out.

Two questions, of which neither trusts the other's answer. *Movement*: the fit with the canary is
run again without, given the same noised figures, so that every choice is the same; what the
canary moves each figure, over the noise that was entered, must add up to no more than μ².
*Refits*: hundreds of fits, half of them with the canary, each judged by the best test there is
(the likelihood ratio of all noised figures); how far the two heaps lie apart must stay within μ,
whatever the ledger says of sensitivities and whatever noise was really drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import mean, variance
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthetic.synthesiser.fitting import fit
from synthetic.synthesiser.model import Model
from synthetic.synthesiser.noise import Noise, seeded
from synthetic.tables.schema import Schema

Ints = NDArray[np.int64]
Files = Mapping[str, Sequence[Path]]
STANDARD_ERRORS = 3.0


@dataclass
class _Heard:
    """A noise that remembers what was noised, and says again what was said, if told to."""

    noise: Noise
    said: Mapping[str, Ints] | None = None
    raw: dict[str, Ints] = field(default_factory=dict)
    noised: dict[str, Ints] = field(default_factory=dict)
    sigma: dict[str, float] = field(default_factory=dict)

    def __call__(self, what: str, figures: Ints, sigma: float) -> Ints:
        if what in self.raw:
            raise AssertionError(f"{what} is noised twice under one name")
        told = self.noise(what, figures, sigma) if self.said is None else self.said[what]
        self.raw[what], self.noised[what], self.sigma[what] = figures.copy(), told, sigma
        return told


@dataclass(frozen=True)
class Audit:
    """Findings: μ as entered, what a canary moved at most, how far refits lay apart."""

    mu: float
    moved: float
    apart: float
    error: float
    refits: int

    @property
    def kept(self) -> bool:
        """Whether both stay within μ; the refits by three standard errors."""
        return self.moved <= self.mu * (1 + 1e-6) and not self.caught

    @property
    def caught(self) -> bool:
        """Whether refits alone give the mechanism away."""
        return self.apart > self.mu + STANDARD_ERRORS * self.error

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {
            "mu": self.mu,
            "moved": self.moved,
            "apart": self.apart,
            "standard_error": self.error,
            "refits": self.refits,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class Mechanism:
    """What is audited: a fit of a schema with a promise. `noise_of` makes the noise of a refit."""

    schema: Schema
    epsilon: float
    delta: float
    unit: str | None = None
    noise_of: Callable[[int], Noise] = seeded

    def fitted(self, data: Files, noise: Noise) -> Model:
        """One fit."""
        return fit(
            self.schema,
            data,
            epsilon=self.epsilon,
            delta=self.delta,
            unit=self.unit,
            noise=noise,
            threads=1,
        )

    def pair(self, noised: Files, beside: Files, seed: int) -> tuple[_Heard, _Heard, float]:
        """A fit of `noised`, the same choices on `beside`, and μ of the first."""
        first = _Heard(self.noise_of(seed))
        mu = self.fitted(noised, first).statement.mu
        second = _Heard(first.noise, said=first.noised)
        self.fitted(beside, second)
        if first.raw.keys() != second.raw.keys():
            raise AssertionError("the same noised figures led to other questions")
        return first, second, mu


def movement(
    mechanism: Mechanism, without: Files, canaries: Sequence[Files]
) -> tuple[float, float]:
    """The most that any canary moves all figures, in their noise (square root of the sum of
    squares), and μ. Each of `canaries` is `without` and one person more."""
    most, mu = 0.0, 0.0
    for seed, with_one in enumerate(canaries):
        first, second, mu = mechanism.pair(with_one, without, seed)
        most = max(most, sqrt(sum(_moved(first, second, what) for what in first.raw)))
    return most, mu


def _moved(one: _Heard, other: _Heard, what: str) -> float:
    difference = (one.raw[what] - other.raw[what]).astype(np.float64)
    return float((difference**2).sum() / one.sigma[what] ** 2)


def refits(
    mechanism: Mechanism, without: Files, with_one: Files, many: int, seed: int = 0
) -> tuple[float, float]:
    """How far `many` fits of each side lie apart (in standard deviations), and its standard
    error. Each fit is scored by the log-likelihood ratio of all its noised figures."""
    scores: list[list[float]] = [[], []]
    for at in range(2 * many):
        inside = bool(at % 2)
        sides = (with_one, without) if inside else (without, with_one)
        told, beside, _ = mechanism.pair(*sides, seed + at)
        there, absent = (told, beside) if inside else (beside, told)
        scores[inside].append(
            sum(
                _ratio(told.noised[k], there.raw[k], absent.raw[k], told.sigma[k]) for k in told.raw
            )
        )
    spread = sqrt((variance(scores[0]) + variance(scores[1])) / 2)
    found = (mean(scores[1]) - mean(scores[0])) / spread
    return found, sqrt(2 / many + found**2 / (4 * many))


def _ratio(noised: Ints, there: Ints, absent: Ints, sigma: float) -> float:
    step = (there - absent).astype(np.float64)
    return float(((noised - (there + absent) / 2) * step).sum() / sigma**2)


def audit(
    mechanism: Mechanism, without: Files, canaries: Sequence[Files], many: int, seed: int = 0
) -> Audit:
    """Both questions; the refits are of the canary that moves most."""
    moves = [movement(mechanism, without, [one]) for one in canaries]
    worst = max(range(len(canaries)), key=lambda at: moves[at][0])
    apart, error = refits(mechanism, without, canaries[worst], many, seed)
    return Audit(moves[0][1], moves[worst][0], apart, error, 2 * many)
