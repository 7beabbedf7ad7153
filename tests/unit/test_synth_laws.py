"""Laws of the synthesiser's arithmetic, for any input."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthetic.synthesiser.domains import Domain
from synthetic.synthesiser.drawing import drawn, spread, valued
from synthetic.synthesiser.estimating import conditional, estimated, positive
from synthetic.synthesiser.identities import apportioned
from synthetic.synthesiser.model import Values

GROUPS = st.lists(
    st.tuples(st.integers(0, 10**12), st.lists(st.integers(0, 10**10), min_size=1, max_size=6)),
    min_size=1,
    max_size=8,
)


@given(GROUPS)
def test_parts_add_up_to_the_total_and_lie_within_one_of_their_quota(groups):
    totals = np.array([total for total, _ in groups])
    weights = np.concatenate([weights for _, weights in groups]).astype(np.int64)
    group = np.repeat(np.arange(len(groups)), [len(weights) for _, weights in groups])
    parts = apportioned(totals, weights, group)
    assert (parts >= 0).all()
    for place, (total, given_) in enumerate(groups):
        mine = parts[group == place]
        assert mine.sum() == total
        whole = sum(given_)
        if whole > 0 and total * max(given_) < 1 << 62:
            for part, weight in zip(mine, given_, strict=True):
                assert total * weight // whole <= part <= total * weight // whole + 1


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.floats(1, 1000))
def test_what_is_made_positive_keeps_the_total_and_the_order(counts, total):
    before = np.array(counts)
    after = positive(before, total)
    assert after.min() >= 0
    assert abs(after.sum() - total) < 1e-6 * total
    assert (np.diff(after[np.argsort(before, kind="stable")]) >= -1e-9).all()


def test_without_noise_a_table_is_estimated_as_it_is():
    counts = np.random.default_rng(1).integers(0, 500, (3, 4, 5)).astype(float)
    margins = [counts.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    assert np.allclose(estimated(counts, margins, 0.0), counts, atol=1e-3 * counts.max())


def test_of_noise_alone_nothing_is_learned():
    margins = [np.full(20, 5000.0), np.full(20, 5000.0)]
    noised = 250.0 + np.random.default_rng(2).normal(0, 200, (20, 20))
    found = estimated(noised, margins, 200.0)
    assert np.abs(found - 250).mean() < 0.25 * np.abs(noised - 250).mean()


def test_spread_numbers_fill_each_group_evenly_and_follow_no_order():
    rng = np.random.default_rng(3)
    group = rng.integers(0, 7, 7000)
    found = spread(group, 7, rng)
    for place in range(7):
        mine = found[group == place]
        assert np.array_equal(np.sort((mine * mine.size).astype(int)), np.arange(mine.size))
        assert abs(np.corrcoef(np.arange(mine.size), mine)[0, 1]) < 0.12


def test_two_columns_of_one_parent_are_drawn_apart():
    rng = np.random.default_rng(4)
    table = conditional(np.array([[30.0, 70.0], [70.0, 30.0]]))
    parent = rng.integers(0, 2, 20_000)
    one, other = drawn(table, parent, rng), drawn(table, parent, rng)
    for place in (0, 1):
        here = parent == place
        assert abs(np.corrcoef(one[here], other[here])[0, 1]) < 0.03


def test_habits_of_writing_are_kept_inside_wide_cells():
    domain = Domain(1, False, (0, 100_000))
    cycle = np.zeros(100)
    cycle[[0, 50]] = 75, 25
    cells = np.full(domain.fine_edges.size - 1, 1 / (domain.fine_edges.size - 1))
    codes = np.zeros(20_000, np.int64)
    found = valued(codes, domain, Values(cells, cycle), np.random.default_rng(5))
    assert set(found % 100) == {0, 50}
    assert abs((found % 100 == 0).mean() - 0.75) < 0.02
    assert abs(found.mean() - 50_000) < 500
