"""Cohort counts with noise, where the profile's `dp` is on: what a question costs, what it is told.

One draw for a question on a release, whoever asks it: asked again it costs nothing and the same is
told. A person is in each step at most once and in one index year: of `n` steps and the years beside
them, one person changes at most n + 1 in all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import ceil

import numpy as np

from gateway.cohorts.evaluate import Counted
from gateway.privacy.ledger import Ledger, Purpose, purpose_digest, year_of
from gateway.privacy.noise import Mechanism, noised
from gateway.privacy.terms import Terms
from gateway.serving.cohort_answer import Sizes

_MICRO = 10**6


@dataclass(frozen=True)
class Cost:
    """What the policy is told, in millionths of ε: this question's, and the most spent before."""

    epsilon_micro: int = 0
    spent_micro: int = 0


FREE = Cost()


@dataclass(frozen=True)
class CohortPrivacy:
    """Answers about one question; blocks: call it in a worker thread."""

    ledger: Ledger
    terms: Terms
    release: str
    digest: str  # of the question
    geos: Sequence[str]
    now: datetime

    def cost(self) -> Cost:
        """What it would spend now; nothing where it was spent for before."""
        spent = self.ledger.spent(year_of(self.now), self.geos)
        again = self.ledger.booked(self._purpose.digest)
        return Cost(0 if again else _up(self.terms.epsilon), _up(spent))

    def sizes(self, counted: Counted) -> Sizes:
        """The noised sizes, drawn at the first answer; `PrivacyBudgetExceeded` before anything is
        drawn."""
        exact = Sizes.of(counted)

        def draw() -> str:
            by = Mechanism(self.terms.epsilon, len(exact.steps) + 1)
            both = np.array([*exact.steps, *exact.years], np.int64)
            return json.dumps(noised(both, by).tolist())

        told = json.loads(self.ledger.drawn(self._purpose, self.now, draw))
        at = len(exact.steps)
        sizes = [max(0, int(one)) for one in told]
        return Sizes(tuple(sizes[:at]), tuple(sizes[at:]), noised=True)

    @property
    def _purpose(self) -> Purpose:
        told = {
            "question": self.digest,
            "release": self.release,
            "epsilon": str(self.terms.epsilon),
        }
        return Purpose(
            purpose_digest(told),
            f"cohort question {self.digest[:12]} on {self.release}",
            tuple(self.geos),
            self.terms.epsilon,
            self.terms.year,
        )


def _up(epsilon: Fraction) -> int:
    return ceil(epsilon * _MICRO)
