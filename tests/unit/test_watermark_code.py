"""Which figures a mark may turn an amount into, and whose bits decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import OperatorError
from gateway.releases.sdc import round_significant
from gateway.watermark.channel import Rounding
from gateway.watermark.code import HALF, HIGH, LOW, WHOLE, Places, bits, carriers, drawn
from gateway.watermark.keys import key_for, keys_in, rotate

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FEN = st.integers(-(10**15), 10**15)


def places(count: int, measure: int = 0) -> Places:
    return Places(np.arange(count) // 40, np.arange(count) % 40, measure)


@given(st.lists(FEN, min_size=1, max_size=50), st.integers(0, 3), st.integers(3, 6))
def test_an_amount_moves_by_one_unit_and_a_thousandth_at_most(
    raw: list[int], draw: int, digits: int
) -> None:
    amounts = round_significant(np.array(raw, np.int64), digits)
    found = carriers(amounts, digits, np.full(len(raw), draw, np.uint16))
    for amount, low, high, held in zip(
        amounts.tolist(), found.low.tolist(), found.high.tolist(), found.held, strict=True
    ):
        unit = 10 ** max(len(str(abs(amount))) - digits, 0)
        for given_ in (low, high):
            assert abs(given_ - amount) in {0, unit}
            assert abs(given_ - amount) * 1000 <= abs(amount)
            assert given_ * amount >= 0
        assert held == (low != high)
        assert abs(low) <= abs(high)


def test_three_digits_and_small_amounts_carry_nothing() -> None:
    none = np.zeros(3, np.uint16)
    assert not carriers(np.array([12300, 99900, 450000]), 3, none).held.any()
    assert not carriers(np.array([0, 57, 999]), 4, none).held.any()
    assert carriers(np.array([1000, 123400, -123400]), 4, none).held.all()


@pytest.mark.parametrize("draw", [0, 1])
def test_a_digit_at_the_turn_of_the_next_rounding_outlasts_it(draw: int) -> None:
    amounts = np.array([123400, 123500, 127400, 127500], np.int64)  # … 4 and … 5
    found = carriers(amounts, 4, np.full(4, draw, np.uint16))
    up = Rounding("digits", 3, "half up")
    assert (up.applied(found.low) != up.applied(found.high)).all()
    assert (found.bias == HALF).all()
    cut = Rounding("digits", 3, "cut off")
    ends = carriers(np.array([123900, 124000], np.int64), 4, np.full(2, draw, np.uint16))
    assert (cut.applied(ends.low) != cut.applied(ends.high)).all()


def test_bits_follow_the_bias_and_each_tenant_has_its_own() -> None:
    where = places(40_000)
    bias = np.where(np.arange(40_000) % 2, LOW, HIGH).astype(np.uint16)
    one, other = bits(b"a" * 32, where, bias), bits(b"b" * 32, where, bias)
    for p in (LOW, HIGH):
        assert abs(one[bias == p].mean() - p / WHOLE) < 0.015
    both = (LOW**2 + HIGH**2 + (WHOLE - LOW) ** 2 + (WHOLE - HIGH) ** 2) / 2 / WHOLE**2
    assert abs((one == other).mean() - both) < 0.015
    assert (bits(b"a" * 32, where, bias) == one).all()


def test_a_draw_depends_on_its_place_alone() -> None:
    whole = drawn(b"k" * 32, places(200, 9))
    turned = np.arange(200)[::-1]
    part = drawn(b"k" * 32, Places(places(200).block[turned], places(200).cell[turned], 9))
    assert (part[::-1] == whole).all()
    assert (drawn(b"k" * 32, places(200, 1)) != whole).mean() > 0.9
    assert (drawn(b"l" * 32, places(200, 9)) != whole).mean() > 0.9


def test_a_release_keeps_the_key_that_was_there_when_it_was_made(tmp_path: Path) -> None:
    first = keys_in(tmp_path)[0]
    second = rotate(tmp_path, NOW)
    kept = keys_in(tmp_path)
    assert [key.id for key in kept] == [first.id, second.id]
    assert key_for(kept, NOW - timedelta(days=1)).id == first.id
    assert key_for(kept, NOW).id == key_for(kept, NOW + timedelta(days=1)).id == second.id
    with pytest.raises(OperatorError, match="rotated"):
        rotate(tmp_path, NOW)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert first.secret.hex() not in repr(first)
