"""Sets of records that leave a few persons: all found, as by an attacker who tries every three."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc.overlaps import Sets, overlaps
from tests.subtraction_attacker import Attacker

K = 4
Combination = tuple[frozenset[int], frozenset[int]]


@st.composite
def memberships(draw: st.DrawFn) -> np.ndarray:
    """Sets of at least K of a few dozen records; many are made of others, so that they nest."""
    records = draw(st.integers(12, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [rng.random(records) < share for share in rng.random(6)]
    for _ in range(14):
        one, other = rng.choice(len(rows), 2)
        made = (rows[one] & rows[other], rows[one] | rows[other], rows[one] & ~rows[other])
        rows.append(made[rng.integers(3)] ^ (rng.random(records) < 0.02))
    large = [row for row in rows if row.sum() >= K]
    return np.unique(large or [np.ones(records, np.bool_)], axis=0)


def sets_of(members: np.ndarray, person: np.ndarray | None = None) -> Sets:
    node, record = np.nonzero(members)
    return Sets(node, record, np.arange(members.shape[1]) if person is None else person)


def found(members: np.ndarray, person: np.ndarray | None = None) -> set[Combination]:
    rests = overlaps(sets_of(members, person), len(members), K)
    return {
        (frozenset(plus) - {-1}, frozenset(minus) - {-1})
        for plus, minus in zip(rests.plus.tolist(), rests.minus.tolist(), strict=True)
    }


@given(memberships())
@settings(max_examples=150, deadline=None)
def test_the_search_finds_what_the_attacker_finds(members: np.ndarray) -> None:
    leaks = Attacker(members, K).leaks()
    assert found(members) == {(frozenset(leak.plus), frozenset(leak.minus)) for leak in leaks}


@given(memberships(), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_persons_count_whatever_number_of_records_they_have(members: np.ndarray, seed: int) -> None:
    """With several records a person fewer persons are left, and every rest told has a few."""
    person = np.random.default_rng(seed).integers(0, members.shape[1] // 2, members.shape[1])
    told = found(members, person)
    for plus, minus in told:
        count = members.astype(int)
        left = count[list(plus)].sum(axis=0) - count[list(minus)].sum(axis=0)
        assert set(left.tolist()) <= {0, 1}
        assert 1 <= len(set(person[left == 1].tolist())) < K
    assert {c for c in found(members) if left_of(members, c) < K} <= told


def left_of(members: np.ndarray, of: Combination) -> int:
    plus, minus = (sum(int(members[i].sum()) for i in cells) for cells in of)
    return plus - minus


def test_a_large_set_is_told_from_one_that_holds_all_but_a_few_of_it() -> None:
    """More records than are sampled: the few outside are found wherever they are."""
    members = np.zeros((3, 400), bool)
    members[0, :150] = True
    members[1, 150:300] = True
    members[2, 1:299] = True
    assert found(members) == {(frozenset({0, 1}), frozenset({2}))}
    members[0, :300] = True
    assert found(members) == {(frozenset({0}), frozenset({2}))}
