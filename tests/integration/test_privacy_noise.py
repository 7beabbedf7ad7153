"""The noise itself, from OpenDP: its distribution, and that its loss is what is said.

OpenDP draws from the operating system and takes no seed, so the bounds are set for one false alarm
in 10⁹ runs; the share of each is worked out, not tried.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from gateway.privacy.noise import Mechanism, noised, scale_of

HALF = Fraction(1, 2)
NORMAL = 6.2  # beyond it lies 10⁻⁹ of a normal distribution, both sides


@pytest.mark.parametrize(
    ("epsilon", "sensitivity"),
    [(HALF, 1), (Fraction(3, 10), 1), (HALF, 9), (Fraction(7, 11), 3)],
)
def test_the_loss_that_opendp_proves_is_no_more_than_epsilon(
    epsilon: Fraction, sensitivity: int
) -> None:
    scale = scale_of(Mechanism(epsilon, sensitivity))
    assert Fraction(sensitivity) / Fraction(scale) <= epsilon * (1 + Fraction(1, 2**50))
    assert math.isclose(scale, sensitivity / float(epsilon), rel_tol=1e-12)


def test_counts_stay_whole_and_as_many_and_every_draw_is_new() -> None:
    counts = np.full(200, 1000)
    first, second = (noised(counts, Mechanism(HALF, 1)) for _ in range(2))
    assert first.dtype == second.dtype == np.int64
    assert len(first) == 200
    assert (first != second).any()  # all 200 alike: less than 10⁻¹⁰⁰
    assert not len(noised(np.zeros(0, np.int64), Mechanism(HALF, 1)))


@pytest.mark.slow
def test_the_noise_is_two_sided_geometric() -> None:
    """Chi-square over −12 … 12 and both tails, of 10⁵ draws of scale 2."""
    n, alpha = 100_000, math.exp(-0.5)
    found = Counter(noised(np.zeros(n, np.int64), Mechanism(HALF, 1)).tolist())
    share = {k: (1 - alpha) / (1 + alpha) * alpha ** abs(k) for k in range(-12, 13)}
    seen = [found[k] for k in share]
    expected = [n * p for p in share.values()]
    for side in (-1, 1):
        seen.append(sum(c for k, c in found.items() if k * side > 12))
        expected.append(n * alpha**13 / (1 + alpha))
    assert math.isclose(sum(expected), n, rel_tol=1e-9)
    statistic = sum((s - e) ** 2 / e for s, e in zip(seen, expected, strict=True))
    assert statistic < 26 + NORMAL * math.sqrt(2 * 26) + NORMAL**2  # of 26 degrees of freedom


@pytest.mark.slow
def test_neighbours_are_told_apart_no_better_than_epsilon_allows() -> None:
    """Counts of a table with one person, of 10⁵ draws each: no event is e^ε times likelier.

    Events are all the outcomes that 500 draws saw, and all tails; both ways round.
    """
    n = 100_000
    one, other = (
        Counter(noised(np.full(n, count), Mechanism(HALF, 1)).tolist()) for count in (40, 41)
    )
    outcomes = sorted({*one, *other})
    events = [{k} for k in outcomes if one[k] + other[k] >= 500]
    events += [{k for k in outcomes if k <= bound} for bound in outcomes]
    events += [{k for k in outcomes if k > bound} for bound in outcomes]
    worst = math.exp(0.5)
    for event in events:
        for near, far in ((one, other), (other, one)):
            p, q = (sum(each[k] for k in event) / n for each in (near, far))
            error = NORMAL * math.sqrt((p + worst**2 * q) / n) + 40 / n
            assert p <= worst * q + error, (sorted(event)[:3], p, q)
