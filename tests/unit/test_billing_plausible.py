"""Results that cannot be are named, each by its own name; what can be is let through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metering.plausible import Bounds, impossible
from metering.rating import Accrual, ChargeLine, LineKey
from metering.sharing import Split

KEY = LineKey("2026-10", "T", "G", "S02", "per_1000_cells", "p", 1)
LINE = ChargeLine("l", KEY, Accrual(1, 1200, 1000, 200), 1, 100)
SPLIT = Split(100, 6, 10, 9, {"P": 50, "Q": 25})
WIDE = Bounds(1000, 1000)


def test_an_ordinary_month_is_possible():
    assert list(impossible([LINE], {"S02": SPLIT}, WIDE)) == []


@pytest.mark.parametrize(
    ("line", "split", "bounds", "name"),
    [
        (replace(LINE, amount_fen=-100), replace(SPLIT, fees_fen=-100), WIDE, "negative"),
        (replace(LINE, units=-1), SPLIT, WIDE, "negative"),
        (replace(LINE, used=Accrual(1, 10, 11, -1)), SPLIT, WIDE, "counts"),
        (replace(LINE, used=Accrual(1, 10, 5, 4)), SPLIT, WIDE, "counts"),
        (LINE, SPLIT, Bounds(99, 1000), "amount_over_bound"),
        (LINE, SPLIT, Bounds(1000, 99), "amount_over_bound"),
        (LINE, replace(SPLIT, providers={"P": 80, "Q": -5}), WIDE, "negative"),
        (LINE, replace(SPLIT, providers={"P": 50, "Q": 24}), WIDE, "not_exact"),
        (LINE, replace(SPLIT, fees_fen=101), WIDE, "not_exact"),
        (LINE, None, WIDE, "not_shared"),
    ],
)
def test_an_impossible_result_is_named(line, split, bounds, name):
    splits = {} if split is None else {"S02": split}
    found = list(impossible([line], splits, bounds))
    assert any(finding.startswith(f"{name}:") for finding in found), found
