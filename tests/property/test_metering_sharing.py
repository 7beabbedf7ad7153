"""Laws of sharing: parts add up, nobody is a fen off its quota, cutting a provider is no gain."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.allotment import AllotmentError, allot
from metering.sharing import (
    QUALITY_MOST,
    SHARE_ONE,
    WEIGHERS,
    Contribution,
    Deductions,
    Quality,
    SharingError,
    factor,
    split,
    weigh,
)
from tests.law_cases import LAW_CASES

NAMES = st.sampled_from([f"P{number:02d}" for number in range(12)])
WEIGHTS = st.dictionaries(NAMES, st.integers(0, 10**15), min_size=1)
FEN = st.integers(-(10**12), 10**12)
MANY = settings(max_examples=LAW_CASES, deadline=None)


def quotas(total: int, weights: dict[str, int]) -> dict[str, Fraction]:
    """The exact part of each, in fractions of a fen."""
    whole = sum(weights.values())
    return {name: Fraction(total * weight, whole) for name, weight in weights.items()}


@MANY
@given(FEN, WEIGHTS.filter(lambda weights: any(weights.values())))
def test_parts_add_up_and_none_is_a_fen_from_its_quota(total, weights):
    parts = allot(total, weights)
    assert sum(parts.values()) == total
    assert parts.keys() == weights.keys()
    for name, quota in quotas(total, weights).items():
        assert abs(parts[name] - quota) < 1
        assert weights[name] or parts[name] == 0


@MANY
@given(FEN, WEIGHTS.filter(lambda weights: any(weights.values())), st.randoms())
def test_neither_order_nor_sign_nor_scale_matters(total, weights, chance):
    shuffled = list(weights.items())
    chance.shuffle(shuffled)
    assert allot(total, dict(shuffled)) == allot(total, weights)
    assert allot(-total, weights) == {n: -fen for n, fen in allot(total, weights).items()}
    assert allot(total, {n: 7 * weight for n, weight in weights.items()}) == allot(total, weights)


def test_a_tie_goes_to_the_smaller_name_and_a_weightless_first_gets_nothing():
    assert allot(5, {"b": 1, "a": 1}) == {"a": 3, "b": 2}
    assert allot(1, {"a": 0, "b": 1, "c": 1}) == {"a": 0, "b": 1, "c": 0}


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": 2, "b": -1}])
def test_money_without_anybody_to_give_it_to_is_refused(weights):
    with pytest.raises(AllotmentError):
        allot(1, weights)


def test_nothing_divided_among_nobody_is_nothing():
    assert allot(0, {"a": 0}) == {"a": 0}
    assert allot(0, {}) == {}


QUALITIES = st.builds(Quality, st.integers(0, QUALITY_MOST), st.booleans())
PARTS = st.builds(
    Contribution,
    NAMES,
    st.integers(0, SHARE_ONE),
    st.booleans(),
    st.integers(0, 50),
    even=st.integers(0, SHARE_ONE),
    quality=QUALITIES,
)


def by_the_formula(parts) -> dict[str, Fraction]:
    """SPEC §7.2, word by word, in exact fractions."""
    sums: dict[str, Fraction] = {}
    for part in parts:
        q = Fraction(part.quality.q, 10_000)
        rest = (
            Fraction(1, 2)
            + Fraction(3, 10) * q
            + Fraction(1, 10) * (1 if part.unique else 0)
            + Fraction(1, 10) * (1 if part.quality.timely else Fraction(1, 2))
        )
        weight = Fraction(part.share, SHARE_ONE) * rest * part.times
        sums[part.provider] = sums.get(part.provider, Fraction(0)) + weight
    return sums


@MANY
@given(st.lists(PARTS, max_size=30), st.randoms())
def test_weights_are_those_of_the_formula_in_any_order(parts, chance):
    weights = weigh(parts)
    scale = SHARE_ONE * 100_000
    assert {n: Fraction(w, scale) for n, w in weights.items()} == by_the_formula(parts)
    shuffled = list(parts)
    chance.shuffle(shuffled)
    assert weigh(shuffled) == weights
    cut = len(parts) // 2
    first, second = weigh(parts[:cut]), weigh(parts[cut:])
    both = {n: first.get(n, 0) + second.get(n, 0) for n in {**first, **second}}
    assert both == weights


@MANY
@given(
    st.lists(PARTS, min_size=1, max_size=20),
    st.integers(0, 10**9),
    st.sampled_from(["contribution", "rows_only"]),
)
def test_two_halves_of_a_provider_earn_what_the_whole_earned(parts, pool, strategy):
    doubled = [replace(p, share=p.share // 2 * 2) for p in parts]
    target = doubled[0].provider
    halves = [
        replace(p, provider=name, share=p.share // 2)
        for p in doubled
        if p.provider == target
        for name in (f"{target}-1", f"{target}-2")
    ] + [p for p in doubled if p.provider != target]
    before, after = weigh(doubled, strategy), weigh(halves, strategy)
    if not any(before.values()):
        return
    whole, cut = allot(pool, before), allot(pool, after)
    assert abs(cut[f"{target}-1"] + cut[f"{target}-2"] - whole[target]) <= 1


@MANY
@given(st.lists(PARTS, max_size=20), st.sampled_from(list(WEIGHERS)), st.randoms())
def test_no_strategy_knows_an_order_and_nothing_delivered_earns_nothing(parts, strategy, chance):
    shuffled = list(parts)
    chance.shuffle(shuffled)
    weights = weigh(parts, strategy)
    assert weigh(shuffled, strategy) == weights
    for name, weight in weights.items():
        own = [p for p in parts if p.provider == name]
        if not any(p.share * p.times for p in own) and "shapley" not in strategy:
            assert weight == 0
        if not any(p.even * p.times for p in own) and "shapley" in strategy:
            assert weight == 0


def test_better_quality_uniqueness_and_punctuality_each_weigh_more():
    plain = factor(Quality(10_000, timely=False), unique=False)
    assert plain == 85_000
    assert factor(Quality(12_000, timely=False), unique=False) == plain + 6_000
    assert factor(Quality(10_000, timely=True), unique=False) == plain + 5_000
    assert factor(Quality(10_000, timely=False), unique=True) == plain + 10_000


def test_the_equal_split_serves_whoever_delivered_anything_alike():
    parts = [Contribution("a", 10, times=9), Contribution("b", SHARE_ONE), Contribution("c", 0)]
    assert weigh(parts, "equal") == {"a": 1, "b": 1, "c": 0}


@MANY
@given(
    st.integers(0, 10**11),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10_000),
    WEIGHTS,
)
def test_fees_are_divided_to_the_fen_and_nobody_pays_in(fees, tax, operator, interest, weights):
    deductions = Deductions(min(tax, fees), operator, interest)
    parts = split(fees, deductions, weights, bureau="BUREAU")
    taken = parts.tax_fen + parts.operator_fen + parts.public_interest_fen
    assert taken + sum(parts.providers.values()) == fees
    assert min(parts.providers.values(), default=0) >= 0
    assert parts.operator_fen <= operator
    assert parts.public_interest_fen <= (fees - parts.tax_fen) * interest / 10_000


def test_a_tax_above_the_fees_or_a_part_above_the_whole_is_refused():
    with pytest.raises(SharingError):
        split(100, Deductions(101), {"a": 1}, bureau="B")
    with pytest.raises(SharingError):
        split(-1, Deductions(), {"a": 1}, bureau="B")
    with pytest.raises(SharingError):
        Deductions(public_interest_bp=10_001)
    with pytest.raises(SharingError):
        Quality(12_001)
    with pytest.raises(SharingError):
        Contribution("a", -1)
