"""Laws of rounding."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc import percentile, ratio, round_count, round_significant
from tests.sdc_factory import profile

keys = st.binary(min_size=16, max_size=64)
counts = st.lists(st.integers(-1000, 10**9), min_size=1, max_size=40)
bases = st.integers(1, 20)
amounts = st.integers(-(10**17), 10**17)


@given(counts, bases, keys)
def test_a_rounded_count_is_a_multiple_less_than_one_base_away(
    values: list[int], base: int, key: bytes
) -> None:
    rounded = round_count(np.array(values), base, key)
    assert (rounded % base == 0).all()
    assert (np.abs(rounded - np.array(values)) < base).all()


@given(counts, bases, keys, st.integers(0, 50))
def test_rounding_keeps_order(values: list[int], base: int, key: bytes, floor: int) -> None:
    ordered = np.sort(np.array(values))
    assert (np.diff(round_count(ordered, base, key, floor)) >= 0).all()


@given(counts, counts, bases, keys)
def test_equal_counts_round_alike_whatever_table_they_are_in(
    values: list[int], others: list[int], base: int, key: bytes
) -> None:
    alone = round_count(np.array(values), base, key)
    together = round_count(np.array(others + values), base, key)[len(others) :]
    assert (alone == together).all()


@given(counts, st.sampled_from([(5, 10), (5, 20), (10, 20), (5, 100)]), keys)
def test_a_coarser_figure_says_nothing_that_the_finer_one_does_not(
    values: list[int], both: tuple[int, int], key: bytes
) -> None:
    fine, coarse = (round_count(np.array(values), base, key) for base in both)
    assert (round_count(fine, both[1], key) == coarse).all()


def test_over_all_keys_the_mean_is_the_count_itself() -> None:
    values = np.arange(40, 51)
    for base in (5, 10):
        total = sum(round_count(values, base, i.to_bytes(4, "big")) for i in range(4000))
        assert np.abs(total / 4000 - values).max() < 0.04 * base


@given(st.lists(amounts, min_size=1, max_size=20), st.integers(1, 6))
def test_significant_digits_agree_with_decimal_arithmetic(values: list[int], digits: int) -> None:
    rounded = round_significant(np.array(values, np.int64), digits)
    assert rounded.tolist() == [_by_decimal(value, digits) for value in values]


def _by_decimal(value: int, digits: int) -> int:
    exact = Decimal(value)
    place = max(0, len(str(abs(value))) - digits)
    return int(exact.scaleb(-place).quantize(Decimal(1), ROUND_HALF_UP).scaleb(place))


@given(
    st.integers(-(10**15), 10**15),
    st.integers(1, 10**15),
    st.sampled_from([1, 12, 1000]),
    st.integers(0, 6),
)
def test_ratios_agree_with_fractions(num: int, den: int, scale: int, decimals: int) -> None:
    exact = Fraction(num * scale, den) * 10**decimals
    whole = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    shown = ratio(np.array([num]), np.array([den]), scale, decimals)
    assert shown.tolist() == [whole / 10**decimals]


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 999), max_size=60), min_size=1, max_size=5))
def test_percentiles_agree_with_counting_one_by_one(cells: list[list[int]]) -> None:
    rules = profile(percentile_min_n={"p75": 8})
    starts = np.cumsum([0, *map(len, cells)])
    values = np.array([v for cell in cells for v in sorted(cell)], np.int64)
    found, shown = percentile(values, starts, 75, rules)
    for cell, value, visible in zip(cells, found.tolist(), shown.tolist(), strict=True):
        assert visible == (len(cell) >= 8)
        if visible:
            assert value == _p75(sorted(cell))


def _p75(ordered: list[int]) -> int:
    rank = -(-75 * len(ordered) // 100)
    first = min(max(rank - 3, 0), len(ordered) - 5)
    return int(Fraction(sum(ordered[first : first + 5]), 5) + Fraction(1, 2))
