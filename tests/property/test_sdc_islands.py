"""Large islands: a search that moves few hidden cells at a time never errs on the bold side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc import PRIMARY, Job, Union, protect_linked
from gateway.releases.sdc.components import Search, islands
from gateway.releases.sdc.lattice import Lattice
from gateway.releases.sdc.problem import Problem, build
from gateway.releases.sdc.protect import resist
from tests.sdc_attacker import Table
from tests.sdc_factory import World, axis, facts, profile, world

sizes = st.tuples(st.integers(3, 6), st.integers(2, 4))
worlds = st.builds(world, st.integers(0, 10**6), st.integers(40, 350), sizes, st.just(2))


def problem_of(of: World) -> tuple[Problem, np.ndarray]:
    problem, _ = build([Job(of.lattice, of.facts, profile())], [])
    return problem, problem.primary.copy()


def exposed_cells(problem: Problem, hidden: np.ndarray, most: int) -> set[int]:
    search = Search(most)
    return {
        int(cell)
        for nodes, member, group in islands(problem, hidden)
        for cell in search.exposed(problem, nodes, member, group)
    }


@settings(max_examples=40, deadline=None)
@given(worlds, st.integers(2, 12))
def test_a_search_of_fewer_cells_at_a_time_calls_no_exposed_cell_safe(of: World, most: int) -> None:
    problem, hidden = problem_of(of)
    hidden = resist(problem, hidden)
    for cells in (hidden, problem.primary):
        assert exposed_cells(problem, cells, 512) <= exposed_cells(problem, cells, most)


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(2, 8))
def test_what_such_a_search_calls_safe_is_not_bounded_by_any_solution(of: World, most: int) -> None:
    problem, hidden = problem_of(of)
    hidden = resist(problem, hidden)
    exposed = exposed_cells(problem, hidden, most)
    persons = of.facts.persons.tolist()
    table = Table(
        persons=dict(zip(of.cells, persons, strict=True)),
        hidden=frozenset(c for c, flag in zip(of.cells, hidden.tolist(), strict=True) if flag),
        parents=[a.parent.tolist() for a in of.lattice.axes],
        adds_up=[a.additive_persons for a in of.lattice.axes],
    )
    searched = {int(n) for nodes, _, _ in islands(problem, hidden) for n in nodes}
    safe = [
        of.cells[i]
        for i in np.flatnonzero(problem.primary)
        if int(i) in searched - exposed and persons[i]
    ]
    for low, high in table.bounds(safe).values():
        assert high - low >= 2 * profile().k - 1e-6


# Two bands of ten years in one table; four of five in another, for the same stays.
TEN = Lattice((axis("ten", [0, 0], additive=False),), np.array([[0], [1], [2]], np.int32))
FIVE = Lattice(
    (axis("five", [0] * 4, additive=False),), np.array([[i] for i in range(5)], np.int32)
)
PARTS = Union(0, 1, np.array([[1, 1], [1, 2], [2, 3], [2, 4]]))


@pytest.mark.parametrize("joined", [False, True])
def test_a_band_of_ten_years_less_one_of_five_does_not_show_the_other(joined: bool) -> None:
    ten, five = facts([100, 45, 55]), facts([100, 40, 5, 24, 31])
    jobs = [Job(TEN, ten, profile()), Job(FIVE, five, profile())]
    whole, parts = protect_linked(jobs, [], [PARTS] if joined else [])
    assert parts[2] == PRIMARY
    alone = [int(w) == 0 and sorted(p > 0 for p in own) == [False, True]
             for w, own in ((whole[1], parts[1:3]), (whole[2], parts[3:5]))]  # fmt: skip
    assert any(alone) is not joined
    derived = [
        int(w) != 0 and not any(own) for w, own in ((whole[1], parts[1:3]), (whole[2], parts[3:]))
    ]
    assert not any(derived)
