"""What a fit costs: Gaussian mechanisms add up as μ², and a ledger refuses to overspend.

A mechanism that adds N(0, σ²) to figures of which a unit changes the L2 norm by Δ is μ-GDP with
μ = Δ/σ, and the composition of any number of them, chosen one after another, with √Σμ² (Dong, Roth
and Su, 2022): no bound, the exact curve δ(ε). Rounding the noised whole numbers is afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, sqrt

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from synthetic.tables.errors import SynthesisError


def delta_at(mu: float, epsilon: float) -> float:
    """The least δ at which a μ-GDP release is (ε, δ)-private."""
    if mu <= 0:
        return 0.0
    lower = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return max(0.0, float(ndtr(mu / 2 - epsilon / mu)) - exp(min(700.0, lower)))


def epsilon_at(mu: float, delta: float) -> float:
    """The least ε at which a μ-GDP release is (ε, δ)-private."""
    if delta_at(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while delta_at(mu, high) > delta:
        high *= 2
    return float(brentq(lambda epsilon: delta_at(mu, epsilon) - delta, 0.0, high, xtol=1e-10))


def mu_at(epsilon: float, delta: float) -> float:
    """The greatest μ of which every release is (ε, δ)-private.

    Raises:
        SynthesisError: `synth_budget`, where ε or δ promises nothing.
    """
    if not (0 < epsilon <= 100 and 0 < delta <= 1e-3):
        raise SynthesisError(
            "synth_budget",
            "Epsilon lies above 0 and is 100 at most; delta lies above 0 and is 0.001 at most.",
            "ε 应大于 0 且不超过 100，δ 应大于 0 且不超过 0.001。",
        )
    high = 1.0
    while delta_at(high, epsilon) < delta:
        high *= 2
    # A hair less than the root: what is promised is kept to the last bit.
    return float(brentq(lambda mu: delta_at(mu, epsilon) - delta, 0.0, high, xtol=1e-13)) * (
        1 - 1e-9
    )


@dataclass(frozen=True)
class Entry:
    """A group of figures released with one noise: `queries` of them, each changed by a unit by at
    most `sensitivity` (L2), with standard deviation `sigma`; in the same whole-number scale."""

    what: str
    queries: int
    sensitivity: int
    sigma: float

    @property
    def mu2(self) -> float:
        """What it costs: μ²."""
        return self.queries * (self.sensitivity / self.sigma) ** 2


@dataclass
class Ledger:
    """The budget of a fit and what it went for. Nothing is noised that was not entered before."""

    epsilon: float
    delta: float
    entries: list[Entry] = field(default_factory=list)

    @property
    def budget(self) -> float:
        """μ² in all."""
        return mu_at(self.epsilon, self.delta) ** 2

    @property
    def spent(self) -> float:
        """μ² so far."""
        return sum(entry.mu2 for entry in self.entries)

    def spend(self, entry: Entry) -> None:
        """Enter a release that is about to be made.

        Raises:
            SynthesisError: `synth_overspent`; the entry is not made.
        """
        if entry.sigma <= 0 or entry.sensitivity < 1 or entry.queries < 1:
            raise ValueError("an entry has noise, a sensitivity and figures")
        if self.spent + entry.mu2 > self.budget * (1 + 1e-9):
            raise SynthesisError(
                "synth_overspent",
                f"The privacy budget does not hold {entry.what}; nothing was released for it.",
                "隐私预算不足，未发布任何结果。",
            )
        self.entries.append(entry)


def sigma_for(queries: int, sensitivity: int, mu2: float) -> float:
    """The noise with which `queries` figures together cost `mu2`."""
    return sensitivity * sqrt(queries / mu2)


def numeric_epsilon(entries: Sequence[Entry], delta: float) -> float:
    """ε of the entries by dp-accounting's privacy loss distributions: the second opinion.

    Raises:
        ImportError: dp-accounting is not installed (`pip install 'sluice[privacy]'`).
    """
    from dp_accounting import GaussianDpEvent, SelfComposedDpEvent  # noqa: PLC0415 -- an extra
    from dp_accounting.pld import PLDAccountant  # noqa: PLC0415 -- an extra

    accountant = PLDAccountant()
    for entry in entries:
        event = GaussianDpEvent(entry.sigma / entry.sensitivity)
        accountant.compose(SelfComposedDpEvent(event, entry.queries))
    return float(accountant.get_epsilon(delta))
