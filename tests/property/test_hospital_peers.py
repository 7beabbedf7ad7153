"""Laws of peer benchmarks: nobody's answer can be subtracted from another's."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.releases.own.peers import Guard, Member, band, benchmark, quantile

GUARD = Guard(institutions=5, persons=11, top1=Decimal("0.5"))
PERCENTS = (25, 50, 75)
figures = st.integers(1, 10**7).map(lambda cents: Decimal(cents).scaleb(-2))
near = st.integers(900_000, 1_100_000).map(lambda cents: Decimal(cents).scaleb(-2))
members = st.builds(
    Member, st.one_of(figures, near), st.integers(0, 40), st.integers(1, 900).map(Decimal)
)
groups = st.lists(members, min_size=1, max_size=14)
close = st.lists(
    st.builds(Member, near, st.integers(3, 40), st.integers(90, 110).map(Decimal)),
    min_size=6,
    max_size=14,
)


def told_to_each(group: list[Member], p: int) -> set[Decimal]:
    """The figure each member would be told of the others, each worked out for itself alone, at the
    step that the common figure has."""
    common = benchmark(group, p, GUARD)
    assert common is not None
    step = step_of(group, p, common)
    others = ([*group[:i], *group[i + 1 :]] for i in range(len(group)))
    own = (quantile([m.figure for m in rest], p, GUARD.window) for rest in others)
    return {(one / step).to_integral_value() * step for one in own}


def step_of(group: list[Member], p: int, common: Decimal) -> Decimal:
    """The finest step of the ladder at which all are told `common`."""
    ladder = (Decimal(one).scaleb(e) for e in range(-6, 12) for one in (1, 2, 5))
    others = [[*group[:i], *group[i + 1 :]] for i in range(len(group))]
    own = [quantile([m.figure for m in rest], p, GUARD.window) for rest in others]
    floor = max(own).adjusted() - GUARD.digits + 1
    return next(
        step
        for step in ladder
        if step >= Decimal(1).scaleb(floor)
        and {(one / step).to_integral_value() * step for one in own} == {common}
    )


@given(group=close, p=st.sampled_from(PERCENTS))
def test_each_member_leaving_itself_out_finds_the_one_figure_all_are_told(
    group: list[Member], p: int
) -> None:
    assume(benchmark(group, p, GUARD) is not None)
    assert told_to_each(group, p) == {benchmark(group, p, GUARD)}


@given(group=groups, p=st.sampled_from(PERCENTS), order=st.randoms())
def test_the_order_of_the_institutions_does_not_matter(group, p, order) -> None:
    mixed = order.sample(group, len(group))
    assert benchmark(mixed, p, GUARD) == benchmark(group, p, GUARD)


@given(group=groups, p=st.sampled_from(PERCENTS))
def test_a_figure_is_told_only_where_every_set_of_others_is_large_enough(group, p) -> None:
    if benchmark(group, p, GUARD) is None:
        return
    for i in range(len(group)):
        others = [*group[:i], *group[i + 1 :]]
        whole = sum(one.magnitude for one in others)
        assert len(others) >= 5
        assert sum(one.persons for one in others) >= 11
        assert max(one.magnitude for one in others) * 2 <= whole


@given(group=close, p=st.sampled_from(PERCENTS), data=st.data())
def test_a_change_of_a_member_that_moves_its_peers_is_seen_by_all_alike(group, p, data) -> None:
    """There is no institution whose figure one member sees moved and another does not."""
    at = data.draw(st.integers(0, len(group) - 1))
    changed = [*group]
    changed[at] = replace(group[at], figure=data.draw(near))
    before, after = benchmark(group, p, GUARD), benchmark(changed, p, GUARD)
    if before is not None and after is not None:
        assert told_to_each(group, p) == {before}
        assert told_to_each(changed, p) == {after}


@given(found=st.lists(figures, min_size=5, max_size=20), window=st.integers(1, 5))
def test_quantiles_rise_with_their_rank_and_lie_within_the_figures(found, window) -> None:
    told = [quantile(found, p, window) for p in (5, 25, 50, 75, 95)]
    assert all(low <= high for low, high in pairwise(told))
    assert min(found) <= told[0]
    assert told[-1] <= max(found)


@given(own=figures, told=st.dictionaries(st.sampled_from(PERCENTS), figures))
def test_a_band_says_no_more_than_the_quantiles_that_are_told(own, told) -> None:
    found = band(own, told)
    if not told:
        assert found is None
        return
    low, high = (int(end[1:]) for end in str(found).split("_"))
    assert low < high
    assert low == 0 or own > told[low]
    assert high == 100 or own <= told[high]
    assert all(own <= figure for p, figure in told.items() if p > low)


def test_a_figure_that_a_quantile_equals_is_below_it() -> None:
    told = {25: Decimal(10), 75: Decimal(30)}
    places = [band(Decimal(own), told) for own in (10, 11, 30, 31)]
    assert places == ["p0_p25", "p25_p75", "p25_p75", "p75_p100"]


def test_five_institutions_are_too_few_as_one_is_left_out() -> None:
    group = [Member(Decimal(1000 + n), 20, Decimal(100)) for n in range(5)]
    assert benchmark(group, 50, GUARD) is None
    assert benchmark([*group, group[0]], 50, GUARD) == Decimal(1000)


def test_one_institution_that_dominates_hides_the_figure_from_all() -> None:
    group = [Member(Decimal(1000 + n), 20, Decimal(100)) for n in range(8)]
    giant = replace(group[0], magnitude=Decimal(5000))
    assert benchmark([giant, *group[1:]], 50, GUARD) is None


def test_exact_order_statistics_would_give_a_third_institution_away() -> None:
    """Why there is a common step: the second and last of six find the fifth's figure exactly."""
    costs = [Decimal(n) for n in (7000, 7900, 8100, 9300, 9800, 12000)]
    without = [quantile(costs[:i] + costs[i + 1 :], 50, 3) for i in range(6)]
    assert round(3 * (without[1] - without[5]) + costs[1], 6) == costs[4]
    group = [Member(cost, 20, Decimal(100)) for cost in costs]
    assert benchmark(group, 50, GUARD) in (None, *(Decimal(8000), Decimal(9000), Decimal(10000)))
