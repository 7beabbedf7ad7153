"""Months by simulation: no invariant is ever broken, and a planted bug in each of them is found.

A failure names its seed and its step; `python -m tests.month_world SEED` plays it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.month_world import Failed, a_site, play
from tests.month_world_lean import lean
from tests.month_world_sabotage import PLANTED, Planted
from tests.month_world_site import Site
from tests.month_world_state import MONTHS

EACH = len(MONTHS)  # months that one seed plays
# 1790: a line is corrected after its credit note; 2961: an answer is stamped before the books began
FEW = (*range(1, 1 + 60 // EACH), 1790, 2961)
PARTS = 20
MANY = 10_000 // EACH // PARTS + 1
CAUGHT_WITHIN = 45  # months
WHOLE = range(500_000, 500_000 + 300 // EACH)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with a_site() as made:
        yield made


@pytest.fixture(scope="module")
def cheap(site: Site) -> Iterator[Site]:
    with lean(site):
        yield site


def test_in_simulated_months_no_invariant_is_broken(cheap):
    assert sum(play(seed, cheap) for seed in FEW) == len(FEW) * EACH


def test_months_added_up_by_the_archive_break_none_either(site):
    assert sum(play(seed, site) for seed in WHOLE[:1]) == EACH


def test_a_seed_plays_the_same_world_again(cheap):
    def told(seed: int) -> list[str]:
        steps: list[str] = []
        play(seed, cheap, steps.append)
        return steps

    assert told(7) == told(7)


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: f"{bug.invariant}-{bug.plant.__name__}")
def test_a_planted_bug_is_caught_by_the_invariant_it_breaks(bug: Planted, cheap: Site):
    assert _caught(bug.plant, cheap) == bug.invariant


def _caught(plant: Callable[[], AbstractContextManager[object]], site: Site) -> str:
    """The invariant that stops the simulation; none, when it plays on without a complaint."""
    with plant():
        for seed in range(1, 1 + CAUGHT_WITHIN // EACH):
            try:
                play(seed, site)
            except Failed as failed:
                return failed.invariant
    return "nothing"


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("part", range(PARTS))
def test_in_ten_thousand_simulated_months_no_invariant_is_broken(part: int, cheap: Site):
    seeds = range(1000 + part * MANY, 1000 + (part + 1) * MANY)
    assert sum(play(seed, cheap) for seed in seeds) == MANY * EACH


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_in_hundreds_of_months_added_up_by_the_archive_none_is_broken(site: Site):
    assert sum(play(seed, site) for seed in WHOLE) == len(WHOLE) * EACH
