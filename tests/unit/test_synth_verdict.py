"""A set is released only where every limit of DC7 was measured and kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synthetic.evaluation.attacks import Copies, Membership
from synthetic.evaluation.verdict import Limits, judge

COPIES = Copies(exact=0, exact_by_others=3, quasi_identifiers=8, closest_ratio=1.02)
ATTACK = Membership("closest", auc=0.51, error=0.02, members=500, others=500)


def test_a_set_that_keeps_every_limit_is_released() -> None:
    assert judge([], COPIES, [ATTACK], Limits()).released


@pytest.mark.parametrize(
    ("copies", "attacks"),
    [
        (replace(COPIES, exact=1), [ATTACK]),
        (replace(COPIES, quasi_identifiers=5), [ATTACK]),  # too few columns to tell
        (replace(COPIES, closest_ratio=0.99), [ATTACK]),
        (COPIES, [ATTACK, replace(ATTACK, auc=0.56)]),
        (COPIES, []),  # not measured
        (COPIES, [ATTACK, replace(ATTACK, auc=float("nan"))]),
    ],
)
def test_one_limit_missed_or_not_measured_is_enough(
    copies: Copies, attacks: list[Membership]
) -> None:
    assert not judge([], copies, attacks, Limits()).released
