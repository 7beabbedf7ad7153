"""Laws of disclosure control over random worlds.

What holds exactly: primary suppression is monotone in every threshold and does not see other
cells; a stricter profile that is given the looser pattern never shows more; more dims never unhide
a primary cell; order of rows, and of tables, changes nothing. What does not hold, and is not
claimed: complementary cells of two patterns found independently need not be nested.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc import (
    PRIMARY,
    PUBLISHED,
    Flags,
    Job,
    Lattice,
    Link,
    audit,
    audit_differences,
    guard_persons,
    protect,
    protect_linked,
    round_count,
)
from tests.sdc_factory import World, profile, take, world

KEY = b"an invented key for tests only"
sizes = st.one_of(
    st.tuples(st.integers(2, 5), st.integers(2, 4)),
    st.tuples(st.integers(2, 5), st.integers(2, 3), st.integers(2, 4)),
    st.tuples(st.integers(2, 4), st.just(2), st.integers(2, 3), st.just(2)),
)
worlds = st.builds(world, st.integers(0, 10**6), st.integers(0, 250), sizes, st.integers(1, 4))
strict = st.fixed_dictionaries(
    {
        "k_person": st.integers(11, 40),
        "min_institutions": st.integers(3, 6),
        "top1_share_max": st.floats(0.3, 0.8),
        "top2_share_max": st.floats(0.5, 0.9),
    }
)


def shown(flags: Flags) -> np.ndarray:
    return flags == PUBLISHED


def flags_of(of: World, **changes: object) -> Flags:
    return protect(of.lattice, of.facts, profile(**changes))


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_a_published_cell_meets_every_threshold(of: World) -> None:
    cell = shown(flags_of(of))
    assert (of.facts.persons[cell] >= 11).all()
    assert (of.facts.institutions[cell] >= 3).all()
    assert (of.facts.top1_share[cell] <= 0.8).all()
    assert (of.facts.top2_share[cell] <= 0.9).all()
    assert (of.facts.top_person_share[cell] <= 0.5).all()


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_the_audit_finds_nothing_in_a_protected_table(of: World) -> None:
    assert audit(of.lattice, of.facts.persons, flags_of(of), profile()) == []


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(0, 99))
def test_the_order_of_the_cells_changes_nothing(of: World, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(of))
    assert (flags_of(of)[order] == flags_of(of.shuffled(order))).all()


@settings(max_examples=25, deadline=None)
@given(worlds, strict)
def test_a_stricter_profile_never_shows_more(of: World, stricter: dict[str, object]) -> None:
    loose = flags_of(of)
    found = protect(of.lattice, of.facts, profile(**stricter), hidden=~shown(loose))
    assert not (shown(found) & ~shown(loose)).any()
    assert not ((found != PRIMARY) & (loose == PRIMARY)).any()


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_more_dims_never_unhide_a_coarser_primary_cell(of: World) -> None:
    coarse = np.flatnonzero((of.lattice.codes[:, 1:] == 0).all(axis=1))
    alone = protect(
        Lattice(of.lattice.axes, of.lattice.codes[coarse]), take(of.facts, coarse), profile()
    )
    assert (flags_of(of)[coarse][alone == PRIMARY] == PRIMARY).all()


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_a_table_linked_to_itself_is_protected_as_if_alone(of: World) -> None:
    job = Job(of.lattice, of.facts, profile())
    both = np.arange(len(of))
    one, other = protect_linked([job, job], [Link(0, 1, np.stack([both, both], axis=1))])
    assert (one == other).all()
    assert (one == flags_of(of)).all()


@settings(max_examples=25, deadline=None)
@given(worlds, worlds)
def test_linked_margins_share_flags_and_both_tables_pass_the_audit(
    left: World, right: World
) -> None:
    if not len(left) or not len(right):
        return
    # Give the right table the left one's people in its total, as two services of one source have.
    total = (of_total(left), of_total(right))
    jobs = [Job(of.lattice, of.facts, profile()) for of in (left, right)]
    flags = protect_linked(jobs, [Link(0, 1, np.array([total]))])
    assert flags[0][total[0]] == flags[1][total[1]]
    for of, found in zip((left, right), flags, strict=True):
        rules = {f.rule for f in audit(of.lattice, of.facts.persons, found, profile())}
        assert "single_hidden" not in rules


def of_total(of: World) -> int:
    return int(np.flatnonzero((of.lattice.codes == 0).all(axis=1))[0])


def published(of: World, flags: Flags, base: int = 5) -> tuple[list, np.ndarray, np.ndarray]:
    """Rows as a client sees them, the rounded figures, and which figures are withheld."""
    rules = profile(count_round=base)
    rounded = round_count(of.facts.persons, base, KEY, floor=11)
    withheld = guard_persons(of.lattice, of.facts.persons, flags, rules, rounded)
    visible = shown(flags) & ~withheld
    rows = [
        (tuple("*" if code == 0 else str(code) for code in cell), int(n) if seen else None)
        for cell, n, seen in zip(of.cells, rounded, visible, strict=True)
    ]
    return rows, rounded, withheld


def roll_ups(of: World) -> list[dict[str, str]]:
    def name(code: int) -> str:
        return "*" if code == 0 else str(code)

    return [
        {name(code): name(up) for code, up in enumerate(a.parent.tolist()) if code}
        for a in of.lattice.axes
    ]


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_no_subtraction_of_published_person_figures_gives_less_than_k(of: World) -> None:
    rows, _, _ = published(of, flags_of(of))
    assert audit_differences(rows, roll_ups(of), 11) == []


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_no_subtraction_of_true_person_counts_gives_less_than_k(of: World) -> None:
    rows, _, _ = published(of, flags_of(of))
    true = [
        (cell, None if figure is None else int(n))
        for (cell, figure), n in zip(rows, of.facts.persons, strict=True)
    ]
    assert audit_differences(true, roll_ups(of), 11) == []


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_the_fast_and_the_naive_audit_agree_before_figures_are_withheld(of: World) -> None:
    flags = flags_of(of)
    rounded = round_count(of.facts.persons, 5, KEY, floor=11)
    fast = {
        tuple(of.cells[i] for i in f.cells)
        for f in audit(of.lattice, of.facts.persons, flags, profile(), rounded=rounded)
    }
    names = [tuple("*" if c == 0 else str(c) for c in cell) for cell in of.cells]
    naive = set()
    for figures in (of.facts.persons, rounded):
        rows = [
            (name, int(n) if open_ else None)
            for name, n, open_ in zip(names, figures, shown(flags), strict=True)
        ]
        for found in audit_differences(rows, roll_ups(of), 11):
            upper, *lower = (
                tuple(0 if v == "*" else int(v) for v in cell)
                for cell in (found.upper, *found.lower)
            )
            naive.add((upper, frozenset(lower)))
    assert {(upper, frozenset(lower)) for upper, *lower in fast} == naive


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_withheld_figures_of_a_looser_profile_stay_withheld(of: World) -> None:
    flags = flags_of(of)
    rounded = round_count(of.facts.persons, 5, KEY, floor=11)
    before = np.arange(len(of)) % 3 == 0
    after = guard_persons(of.lattice, of.facts.persons, flags, profile(), rounded, withheld=before)
    assert after[before].all()
    assert not audit(
        of.lattice, of.facts.persons, flags, profile(), persons_hidden=after, rounded=rounded
    )


@pytest.mark.parametrize("seed", range(5))
def test_unhiding_any_complementary_cell_is_noticed(seed: int) -> None:
    of = world(seed, 200, (4, 2), 4)
    flags = flags_of(of)
    for cell in np.flatnonzero(flags == 2):
        opened = flags.copy()
        opened[cell] = PUBLISHED
        assert (
            protect(of.lattice, of.facts, profile(), hidden=opened != PUBLISHED) != opened
        ).any()
