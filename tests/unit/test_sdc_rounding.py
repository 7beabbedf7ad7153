"""Rounding of published figures, by examples and at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.releases.sdc import (
    ProfileError,
    percentile,
    ratio,
    round_count,
    round_significant,
)
from tests.sdc_factory import profile

KEY = b"an invented key for tests only"


def fen(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_multiples_of_the_base_stay_and_others_go_to_a_neighbour() -> None:
    rounded = round_count(fen(0, 5, 10, 12, 13), 5, KEY)
    assert rounded[:3].tolist() == [0, 5, 10]
    assert set(rounded[3:].tolist()) <= {10, 15}


def test_a_published_person_count_is_never_below_the_first_multiple_that_reaches_k() -> None:
    assert round_count(fen(11, 12, 14, 15), 5, KEY, floor=11).tolist() == [15, 15, 15, 15]


def test_negative_counts_of_net_refunds_round_to_neighbours_too() -> None:
    assert set(round_count(fen(-12, -13), 5, KEY).tolist()) <= {-15, -10}


def test_another_key_rounds_otherwise_and_the_same_key_alike() -> None:
    counts = np.arange(1000)
    assert (round_count(counts, 5, KEY) == round_count(counts, 5, KEY)).all()
    assert (round_count(counts, 5, KEY) != round_count(counts, 5, KEY[::-1])).any()


def test_no_values_round_to_no_values() -> None:
    assert round_count(fen(), 5, KEY).size == 0


def test_a_base_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        round_count(fen(1), 0, KEY)


@pytest.mark.parametrize(
    ("amount", "digits", "shown"),
    [
        (123_456, 4, 123_500),
        (123_449, 4, 123_400),
        (123_450, 4, 123_500),  # half away from zero, not to even
        (-123_450, 4, -123_500),
        (999_960, 4, 1_000_000),
        (1_234, 4, 1_234),
        (7, 4, 7),
        (0, 4, 0),
        (1_000_000_000_000_050, 3, 1_000_000_000_000_000),
    ],
)
def test_amounts_keep_their_first_digits(amount: int, digits: int, shown: int) -> None:
    assert round_significant(fen(amount), digits).tolist() == [shown]


def test_an_amount_outside_exact_range_is_refused() -> None:
    with pytest.raises(OverflowError):
        round_significant(fen(9 * 10**18), 4)


def test_ratios_are_exact_before_their_one_rounding() -> None:
    assert ratio(fen(1, 2, 1, -1), fen(3, 3, 8, 8), decimals=2).tolist() == [
        0.33,
        0.67,
        0.13,
        -0.13,
    ]


def test_a_rate_is_scaled_before_division() -> None:
    assert ratio(fen(1), fen(3), scale=1000, decimals=1).tolist() == [333.3]


def test_a_ratio_without_denominator_has_no_value() -> None:
    assert np.isnan(ratio(fen(1, 10**17), fen(0, 0))).all()


def test_large_amounts_divide_without_loss() -> None:
    assert ratio(fen(3 * 10**14), fen(10**14 * 9), decimals=4).tolist() == [0.3333]


def test_parts_beyond_64_bits_divide_exactly_too() -> None:
    huge = np.array([3 * 10**24, -(10**24)], dtype=object)
    assert ratio(huge, np.array([9 * 10**24, 10**20], dtype=object)).tolist() == [0.3333, -10000.0]
    assert ratio(fen(4 * 10**18), fen(3), scale=1000, decimals=1).tolist() == [4e21 / 3]


def test_a_percentile_is_the_mean_of_five_neighbours() -> None:
    values = np.arange(100, 700, 10, dtype=np.int64)  # 60 stays
    shown_value, shown = percentile(values, fen(0, 60), 50, profile())
    # Nearest rank 30 → index 29; neighbours 27 … 31 around it.
    assert (shown_value.tolist(), shown.tolist()) == ([390], [True])


def test_at_the_end_of_a_cell_the_window_moves_inwards() -> None:
    values = fen(*range(1, 51))
    shown_value, _ = percentile(values, fen(0, 50), 90, profile(percentile_min_n={"p90": 50}))
    assert shown_value.tolist() == [45]
    last, _ = percentile(values, fen(0, 50), 99, profile(percentile_min_n={"p99": 50}))
    assert last.tolist() == [48]


def test_half_a_fen_of_a_percentile_goes_away_from_zero() -> None:
    rules = profile(percentile_window=2, percentile_min_n={"p50": 2})
    assert percentile(fen(1, 2), fen(0, 2), 50, rules)[0].tolist() == [2]


def test_a_percentile_never_looks_into_the_next_cell() -> None:
    values = fen(*([1] * 20), *([9] * 20))
    shown_value, _ = percentile(values, fen(0, 20, 20, 40), 75, profile())
    assert shown_value[[0, 2]].tolist() == [1, 9]


def test_a_percentile_the_profile_does_not_list_is_not_shown() -> None:
    assert not percentile(fen(*range(600)), fen(0, 600), 99, profile(percentiles=["p50"]))[1].any()
    assert not percentile(fen(*range(600)), fen(0, 600), 99, profile(percentile_min_n={}))[1].any()


def test_percentiles_without_a_rule_in_the_profile_are_an_error() -> None:
    with pytest.raises(ProfileError, match="percentile_min_n"):
        percentile(fen(1), fen(0, 1), 50, profile(percentile_min_n=None))
