"""Intervals that are remembered while more is hidden are those found from the beginning."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc.lattice import Bools
from gateway.releases.sdc.problem import Problem, figures
from gateway.releases.sdc.remembered import Remembered
from gateway.releases.sdc.rest import Leaks, leaks
from gateway.releases.sdc.shuttle import intervals
from tests.sdc_factory import profile, world

steps = st.tuples(st.integers(0, 2**32 - 1), st.integers(40, 160), st.integers(1, 8))


def _problem(seed: int, people: int) -> Problem:
    made = world(seed, people, (3, 4, 3))
    return figures(made.lattice, made.facts.persons, profile(k_person=3))


def _growing(problem: Problem, seed: int, count: int) -> list[Bools]:
    """Patterns that hide more and more, a cell or two at a time after a fair start."""
    rng = np.random.default_rng(seed)
    hidden = (problem.persons < 3) | (rng.random(problem.persons.size) < 0.3)
    found = [hidden]
    for _ in range(count):
        more = hidden.copy()
        more[rng.integers(0, hidden.size, int(rng.integers(1, 3)))] = True
        found.append(more)
        hidden = more
    return found


@given(steps)
@settings(max_examples=80, deadline=None)
def test_bounds_after_each_step_are_those_of_a_fresh_start(step: tuple[int, int, int]) -> None:
    seed, people, count = step
    problem, memory = _problem(seed, people), Remembered(afresh_above=1.0)
    for hidden in _growing(problem, seed, count):
        fresh, kept = intervals(problem, hidden), memory.intervals(problem, hidden)
        assert kept.low.tolist() == fresh.low.tolist()
        assert kept.high.tolist() == fresh.high.tolist()


@given(steps)
@settings(max_examples=40, deadline=None)
def test_once_no_rest_leaks_none_will_when_more_is_hidden(step: tuple[int, int, int]) -> None:
    seed, people, count = step
    problem, attack = _problem(seed, people), Leaks()
    for hidden in _growing(problem, seed, count):
        assert attack(problem, hidden).tolist() == leaks(problem, hidden).tolist()
