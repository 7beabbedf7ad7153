"""Parts of a month, priced to be added up, never come to less than the month does."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.quota.pricing import additive
from metering.tariff import Bounded, Free, Graduated, Package, PerUnit, Tariff, Tier, Volume

prices = st.integers(0, 9).map(lambda number: number * 10_000)


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    widths = draw(st.lists(st.integers(1, 20), max_size=3))
    ends = [*accumulate(widths), None]
    return tuple(Tier(end, draw(prices)) for end in ends)


inner = st.one_of(
    st.just(Free()),
    st.builds(PerUnit, prices),
    st.builds(Package, st.integers(1, 10), prices),
    st.builds(Graduated, tiers()),
    st.builds(Volume, tiers()),
)
bounded = st.builds(
    lambda rule, least, more: Bounded(rule, least, None if more is None else least + more),
    inner,
    prices,
    st.none() | prices,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(inner, bounded), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_parts_never_cost_less_than_the_whole(tariff: Tariff, parts: list[int]) -> None:
    fit = additive(tariff)
    assert sum(fit.charge(units) for units in parts) >= tariff.charge(sum(parts))


@given(prices, st.integers(0, 99))
def test_a_plain_price_is_left_as_it_is(price: int, units: int) -> None:
    assert additive(PerUnit(price)).charge(units) == PerUnit(price).charge(units)
