"""An attacker with exact published figures learns no primary suppressed cell."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc import PRIMARY, Flags, protect
from tests.sdc_attacker import Cell, Table
from tests.sdc_factory import World, profile, world

sizes = st.one_of(
    st.tuples(st.integers(2, 5), st.integers(2, 4)),
    st.tuples(st.integers(2, 4), st.just(2), st.integers(2, 3)),
    st.just((2, 2, 2, 2)),
)
worlds = st.builds(world, st.integers(0, 10**6), st.integers(15, 350), sizes, st.integers(2, 4))


def attacked(of: World, flags: Flags) -> tuple[Table, list[Cell]]:
    persons = of.facts.persons.tolist()
    table = Table(
        persons=dict(zip(of.cells, persons, strict=True)),
        hidden=frozenset(c for c, flag in zip(of.cells, flags, strict=True) if flag),
        parents=[a.parent.tolist() for a in of.lattice.axes],
        adds_up=[a.additive_persons for a in of.lattice.axes],
    )
    return table, [c for c, flag in zip(of.cells, flags, strict=True) if flag == PRIMARY]


@settings(max_examples=40, deadline=None)
@given(worlds)
def test_no_primary_cell_can_be_computed_exactly(of: World) -> None:
    table, primary = attacked(of, protect(of.lattice, of.facts, profile()))
    assert not table.computable() & set(primary)


@settings(max_examples=30, deadline=None)
@given(worlds)
def test_no_solution_of_the_equations_bounds_a_primary_cell_closely(of: World) -> None:
    rules = profile()
    table, primary = attacked(of, protect(of.lattice, of.facts, rules))
    for cell, (low, high) in table.bounds(primary).items():
        assert low - 1e-6 <= table.persons[cell] <= high + 1e-6
        assert high - low >= 2 * rules.k - 1e-6


@settings(max_examples=15, deadline=None)
@given(worlds)
def test_no_squeezing_bounds_a_primary_cell_closely(of: World) -> None:
    rules = profile()
    table, primary = attacked(of, protect(of.lattice, of.facts, rules))
    for cell, (low, high) in table.squeezed(primary).items():
        assert low <= table.persons[cell] <= high
        assert high - low >= 2 * rules.k
