"""The matched before-and-after estimate: unbiased, its interval covers, and no order matters."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.studies.effect import (
    Panel,
    balance,
    difference,
    interval,
    matched_sets,
    relative,
    relative_interval,
    resampled,
)
from gateway.releases.studies.steps import above, below, nearest, one_digit, step_of

SCALE = 10**4


@dataclass(frozen=True)
class World:
    """How an outcome comes about: a person's level, a trend of all, an effect on the treated."""

    sets: int
    level: float
    trend: float
    effect: float
    counts: bool  # events of a person, or a skewed amount

    def panel(self, seed: int) -> Panel:
        rng = np.random.default_rng(seed)
        many = rng.integers(1, 4, self.sets)
        set_no = np.concatenate([np.arange(self.sets), np.repeat(np.arange(self.sets), many)])
        treated = np.arange(len(set_no)) < self.sets
        together = rng.gamma(2, 0.5, self.sets)[set_no]  # what a set has in common
        own = self.level * together * rng.gamma(4, 0.25, len(set_no))
        after = own * (1 + self.trend) + np.where(treated, self.effect, 0)
        if self.counts:
            before, then = rng.poisson(own), rng.poisson(np.maximum(after, 0))
        else:
            before, then = own * rng.lognormal(0, 0.6, len(own)), 0
            then = after * rng.lognormal(0, 0.6, len(own))
        return Panel(set_no, treated, _whole(before), _whole(then))


def _whole(values: np.ndarray) -> np.ndarray:
    return np.rint(values * SCALE).astype(np.int64)


VISITS = World(120, 6.0, 0.05, 0.6, counts=True)
STAYS = World(150, 0.5, -0.02, 0.15, counts=True)
COST = World(120, 5.0, 0.1, 0.0, counts=False)


@pytest.mark.parametrize("world", [VISITS, STAYS, COST])
def test_the_estimate_is_unbiased_and_its_interval_covers_95_times_of_100(world: World) -> None:
    found, covered, runs = [], 0, 300
    for seed in range(runs):
        sets = matched_sets(world.panel(seed))
        estimate = difference(sets).times(1 / SCALE)
        found.append(estimate.value)
        step = step_of(estimate, 4)
        low, high = (end / SCALE for end in interval(resampled(sets, 999, 7), sets))
        covered += below(low, 4, step) <= world.effect * 10**4 <= above(high, 4, step)
    error = float(np.std(found)) / sqrt(runs)
    assert abs(float(np.mean(found)) - world.effect) < 3 * error
    assert covered >= 0.92 * runs


def test_intervals_without_rounding_cover_neither_too_little_nor_too_much() -> None:
    covered = 0
    for seed in range(400):
        sets = matched_sets(VISITS.panel(1000 + seed))
        low, high = interval(resampled(sets, 999, seed), sets)
        covered += low <= VISITS.effect * SCALE <= high
    assert 0.915 * 400 <= covered <= 0.98 * 400


def test_where_nothing_was_done_the_relative_interval_covers_nothing() -> None:
    ends = [
        relative_interval(resampled(matched_sets(COST.panel(seed)), 999, 7)) for seed in range(200)
    ]
    told = [(low, high) for low, high in filter(None, ends)]
    assert len(told) > 190  # without a base in some resample there is no share
    assert sum(low <= 0 <= high for low, high in told) >= 0.9 * len(told)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_neither_the_order_of_rows_nor_the_names_of_sets_change_a_figure(seed: int) -> None:
    panel = VISITS.panel(seed)
    order = np.random.default_rng(seed).permutation(len(panel.set_no))
    mixed = Panel(*(v[order] for v in (panel.set_no, panel.treated, panel.before, panel.after)))
    moved = Panel(panel.set_no * 7 + 3, panel.treated, panel.before, panel.after)
    for other in (mixed, moved):
        sets, same = matched_sets(panel), matched_sets(other)
        assert difference(sets) == difference(same)
        assert relative(sets) == relative(same)
        assert np.array_equal(resampled(sets, 999, 1).change, resampled(same, 999, 1).change)
        assert balance(panel) == pytest.approx(balance(other), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_the_estimate_is_the_mean_of_the_differences_of_the_sets(seed: int) -> None:
    panel = STAYS.panel(seed)
    naive = []
    for label in np.unique(panel.set_no):
        own = panel.set_no == label
        change = (panel.after - panel.before)[own]
        naive.append(change[panel.treated[own]].mean() - change[~panel.treated[own]].mean())
    assert difference(matched_sets(panel)).value == pytest.approx(np.mean(naive), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=50, max_size=120),
    st.integers(0, 49),
    st.sampled_from([1, 10**3, 10**9]),
)
def test_leaving_any_set_out_moves_a_figure_by_one_step_at_most(
    changes: list[int], leaver: int, outlier: int
) -> None:
    """However far from the others it lies: the last change is made as large as may be."""
    changes[0] *= outlier
    n = len(changes)
    panel = Panel(
        np.repeat(np.arange(n), 2),
        np.tile([True, False], n),
        np.zeros(2 * n, np.int64),
        np.array([[c, 0] for c in changes], np.int64).ravel(),
    )
    whole = difference(matched_sets(panel))
    step = step_of(whole, 4)
    told = nearest(whole.value, 4, step)
    for gone in (0, leaver):
        kept = panel.set_no != gone
        rest = Panel(*(v[kept] for v in (panel.set_no, panel.treated, panel.before, panel.after)))
        without = difference(matched_sets(rest))
        assert abs(nearest(without.value, 4, step) - told) <= step


@given(st.floats(0, 10**9, allow_nan=False))
def test_a_step_has_one_digit_and_is_wide_enough_and_not_twice_that(width: float) -> None:
    step = one_digit(width)
    assert step >= width
    assert step <= max(1, 2 * width)
    assert str(step).strip("0").isdigit()
    assert len(str(step).rstrip("0")) == 1


def test_sets_without_a_comparator_or_without_a_programme_person_say_nothing() -> None:
    panel = Panel(
        np.array([1, 2, 2, 3, 3]),
        np.array([True, True, False, False, False]),
        np.zeros(5, np.int64),
        np.array([100, 7, 3, 50, 60]),
    )
    sets = matched_sets(panel)
    assert len(sets) == 1
    assert difference(sets).value == 4


def test_a_balanced_baseline_has_no_standardised_difference() -> None:
    set_no = np.tile(np.arange(60), 2)
    treated = np.repeat([True, False], 60)
    before = np.tile(np.arange(60), 2)
    assert balance(Panel(set_no, treated, before, before)) == 0
    assert balance(Panel(set_no, treated, before + 60 * treated, before)) == pytest.approx(
        60 / np.arange(60).std()
    )
    assert balance(Panel(set_no, treated, np.ones(120, np.int64), before)) is None
