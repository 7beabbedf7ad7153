"""Completion factors by chain-ladder, in numbers that can be followed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from gateway.catalogue.kinds import ChainLadder
from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Grain
from gateway.releases.facts import Period
from gateway.releases.kernel import Ints
from gateway.releases.kinds.chain_ladder import Triangle
from gateway.releases.measures import Layout, finished
from gateway.releases.sheet import Sheet, kept
from gateway.releases.shown import ABSENT, HIDDEN, ROUNDED, SUPPRESSED
from gateway.settings import Settings

SERVICE = load_catalogue(Settings().policies).services["S02"]
MEASURES = kept(SERVICE)
NAMES = [measure.name for measure in MEASURES]
QUARTERS = tuple(f"{year}Q{quarter}" for year in (2021, 2022, 2023) for quarter in (1, 2, 3, 4))
CALENDAR = tuple(Period(Grain.QUARTER, label, i, i) for i, label in enumerate(QUARTERS))
FIRST = 24_002  # the last month of the first quarter


def _triangle(*origins: tuple[int, ...]) -> Triangle:
    """One cell with its quarters, each by what is settled 0, 1, … months later."""
    settled = np.cumsum(np.array([origins], np.int64), axis=2)
    ends = FIRST + 3 * np.arange(len(origins))
    return Triangle(settled, np.ones(settled.shape[:2], np.bool_), ends, 3)


def test_the_share_is_the_product_of_the_inverse_factors() -> None:
    """60, 90, 100: factors 1.5 and 1.111…, so 60 % is settled at once and 90 % a month later."""
    share, known = _triangle(*[(60, 30, 10)] * 9).shares(FIRST + 24, 24)
    assert share.round(9).tolist() == [[0.6, 0.9, 1.0]]
    assert known.all()


def test_factors_are_weighted_by_volume() -> None:
    """Seven quarters of 100 without delay, one of 300 that doubles: 1300 ÷ 1000."""
    share, known = _triangle(*[(100, 0)] * 7, (300, 300), (500, 0)).shares(FIRST + 24, 24)
    assert share[0, 0] == pytest.approx(1 / 1.3)
    assert known[0, 0]


def test_what_comes_later_is_not_used_before() -> None:
    """At the end of the ninth quarter its own delays lie ahead; at the end of the tenth not."""
    triangle = _triangle(*[(80, 20)] * 8, (10, 90), (80, 20))
    before, _ = triangle.shares(FIRST + 24, 24)
    after, _ = triangle.shares(FIRST + 27, 24)
    assert before[0, 0] == pytest.approx(0.8)
    assert after[0, 0] == pytest.approx(650 / 900)


def test_less_than_24_months_of_origin_tell_nothing() -> None:
    triangle = _triangle(*[(80, 20)] * 9)
    assert not triangle.shares(FIRST + 21, 24)[1][0, 0]
    assert triangle.shares(FIRST + 24, 24)[1][0, 0]


def test_every_factor_needs_as_many() -> None:
    """Twelve months of delay are known of the first eight quarters only at the end of the third
    year, although the first months are known long before."""
    triangle = _triangle(*[(40, *[5] * 12)] * 12)
    assert not triangle.shares(FIRST + 30, 24)[1][0, 0]
    share, known = triangle.shares(FIRST + 33, 24)
    assert known.all()
    assert share[0, 0] == pytest.approx(0.4)


def _sheet(persons: int, delayed: tuple[int | None, ...], hidden: int = -1) -> Sheet:
    """The cells of all quarters: 6000.00 at once and `delayed` after; None where not told."""
    size = len(CALENDAR)
    amounts: dict[str, int | None] = {"persons": persons, "settled_0": 600_000}
    amounts |= {f"settled_{i}": amount for i, amount in enumerate(delayed, 1)}
    marks = np.full((len(MEASURES), size), ABSENT, np.uint8)
    values: list[Ints] = [np.zeros(size, np.int64) for _ in MEASURES]
    for at, name in enumerate(NAMES):
        if name in amounts or name.startswith(("settled_", "completion_")):
            amount = amounts.get(name)
            marks[at] = SUPPRESSED if amount is None else ROUNDED
            values[at][:] = amount or 0
    whole = np.full(size, ROUNDED, np.uint8)
    if hidden >= 0:
        whole[hidden] = HIDDEN
        marks[:, hidden] = np.where(marks[:, hidden] == ABSENT, ABSENT, HIDDEN)
    scales = tuple(2 if name.startswith("settled") else 0 for name in NAMES)
    every = np.arange(size)
    empty = ((),) * len(NAMES)
    zero = np.zeros(size, np.int64)
    return Sheet(MEASURES, every, zero, whole, marks, every, tuple(values), scales, empty)


def _told(sheet: Sheet, name: str) -> list[str]:
    made = finished(sheet, Layout(SERVICE, CALENDAR, 1)).figure(name)
    return [
        str(value / 10**made.scale) if mark == ROUNDED else chr(mark)
        for value, mark in zip(made.values.tolist(), made.marks.tolist(), strict=True)
    ]


def test_the_last_quarter_of_three_years_is_the_first_with_factors() -> None:
    sheet = _sheet(1000, (300_000, 100_000))
    assert _told(sheet, "completion_0") == [*"s" * 11, "0.6"]
    assert _told(sheet, "completion_1") == [*"s" * 11, "0.9"]
    assert _told(sheet, "completion_2") == [*"s" * 11, "1.0"]


def test_an_amount_of_too_few_persons_is_no_part_of_a_factor() -> None:
    assert _told(_sheet(1000, (None, 100_000)), "completion_0")[-1] == "0.8571"


def test_cells_of_few_persons_have_no_factor() -> None:
    assert _told(_sheet(495, (300_000, 100_000)), "completion_0") == [*"s" * 12]


def test_a_hidden_quarter_has_no_factor_and_is_part_of_none() -> None:
    """Without it eight quarters of twelve months' delay are not complete."""
    assert _told(_sheet(1000, (300_000,), hidden=3), "completion_0") == [*"sssc", *"s" * 8]


def test_a_ladder_ends_before_its_last_amount() -> None:
    with pytest.raises(ValidationError, match="below the last"):
        ChainLadder(kind="chain_ladder", of=("a", "b"), persons="p", delay=1)
