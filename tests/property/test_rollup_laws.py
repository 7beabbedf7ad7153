"""Laws of the roll-ups: order, doubles and lateness of events change no fen of any month."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.billing.rollup import rollups
from gateway.billing.rollup_month import MonthSums
from metering.calendar import month_range
from metering.overlap import REPEAT_WINDOW, CellCharge, overcharged
from tests.journal_factory import NOON, event_id
from tests.law_cases import LAW_CASES
from tests.rollup_world import (
    MONTH,
    Journals,
    by_the_pure_rule,
    by_the_rollups,
    delivered,
    history,
)

TENANTS = 100  # histories in one world: each is a case of its own
WORLDS = -(-LAW_CASES // TENANTS)


@pytest.mark.parametrize("seed", range(WORLDS))
def test_a_month_comes_to_the_same_whatever_order_doubles_and_lateness(tmp_path, seed):
    random = Random(seed)  # noqa: S311  # a world to try, no secret
    answers = [one for tenant in range(TENANTS) for one in history(tenant, random)]
    copies = delivered(answers, random)
    journals, heads = Journals(), []
    cuts = [0, *sorted(random.sample(range(len(copies)), 2)), len(copies)]
    with rollups(tmp_path) as rolled:
        for first, last in pairwise(cuts):
            for node, answer in copies[first:last]:
                journals.answers[node].append(answer)
            rolled.refresh(journals, month_range(MONTH)[1] + timedelta(days=last))
            heads.append(journals.heads())
        for until in (None, *heads):
            sums = MonthSums(rolled, journals, MONTH, until)
            told = journals.within(heads[-1] if until is None else until)
            assert by_the_rollups(sums) == by_the_pure_rule(told)


@settings(max_examples=LAW_CASES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_given_back_is_what_one_node_alone_would_not_have_charged(seed):
    random = Random(seed)  # noqa: S311  # a world to try, no secret
    charges = [
        CellCharge(
            random.choice("tu"),
            "r1",
            random.randrange(2),
            NOON + timedelta(days=random.randrange(100)),
            event_id(number),
            random.getrandbits(5),
        )
        for number in range(random.randrange(9))
    ]
    random.shuffle(charges)
    left = {one[:5]: one.cells for one in charges}
    for one in overcharged(charges):
        left[one[:5]] &= ~one.cells
    assert left == _charged_by_one_node(charges)


def _charged_by_one_node(charges):
    """Cell by cell, in order of time: a cell is charged unless it was within thirty days."""
    last, kept = {}, {one[:5]: 0 for one in charges}
    for one in sorted(charges, key=lambda one: (one.time, one.event_id)):
        for bit in range(5):
            key = (*one[:3], bit)
            if one.cells >> bit & 1 and not (key in last and one.time - last[key] < REPEAT_WINDOW):
                last[key] = one.time
                kept[one[:5]] |= 1 << bit
    return kept
