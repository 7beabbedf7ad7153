"""SPEC 4.3, the worked test cells of profile DC2, each as it stands there."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.releases.sdc import Lattice, percentile, protect, round_count
from tests.sdc_factory import axis, facts, profile

FLAG = {0: "shown", 1: "s", 2: "c"}


def alone(persons: int, **figures: list[float]) -> str:
    """The flag of a table of one cell."""
    table = Lattice((axis("period", [-1]),), np.array([[1]], np.int32))
    return FLAG[int(protect(table, facts([persons], **figures), profile())[0])]


@pytest.mark.parametrize(
    ("persons", "figures", "flag"),
    [
        (10, {}, "s"),
        (11, {}, "shown"),
        (0, {}, "s"),
        (40, {"institutions": [2]}, "s"),
        (40, {"institutions": [3]}, "shown"),
        (40, {"institutions": [4], "top1_share": [0.85], "top2_share": [0.89]}, "s"),
        (40, {"top1_share": [0.6], "top2_share": [0.91]}, "s"),
        (40, {"top1_share": [0.8], "top2_share": [0.9]}, "shown"),
        (40, {"top_person_share": [0.51]}, "s"),
        (40, {"exposure": [99.9]}, "s"),
        (40, {"exposure": [float("nan")]}, "s"),
        (40, {"needs_makers": [True], "makers": [2]}, "s"),
        (40, {"needs_makers": [False], "makers": [2]}, "shown"),
        (40, {"needs_makers": [True], "maker_top1_share": [0.81]}, "s"),
        (40, {"sensitive": [True]}, "s"),
        (91, {"fraction_of": [99]}, "s"),
        (91, {"fraction_of": [120]}, "shown"),
        (115, {"fraction_of": [120]}, "s"),
        (40, {"magnitude": [0.0], "top1_share": [1.0], "top2_share": [1.0]}, "shown"),
        (40, {"magnitude": [-5.0]}, "s"),
    ],
)
def test_a_cell_is_hidden_by_its_own_figures(
    persons: int, figures: dict[str, list[float]], flag: str
) -> None:
    assert alone(persons, **figures) == flag


def row(*persons: int, total: bool = True) -> str:
    """Flags of a row of counties, before them their total."""
    roll_up = [0] * len(persons)
    codes = np.arange(0 if total else 1, len(persons) + 1, dtype=np.int32)[:, None]
    counts = [sum(persons), *persons] if total else list(persons)
    flags = protect(Lattice((axis("county", roll_up),), codes), facts(counts), profile())
    return " ".join(FLAG[int(flag)] for flag in flags)


def test_with_one_county_hidden_and_the_total_shown_the_next_smallest_is_hidden() -> None:
    assert row(300, 8, 90, 70, 55) == "shown shown s shown shown c"


def test_two_tiny_counties_do_not_hide_each_other() -> None:
    assert row(300, 8, 9, 70, 55) == "shown shown s s shown c"


def test_two_hidden_counties_are_enough_when_they_hold_more_than_2k_persons() -> None:
    assert row(300, 3, 20, 70, 55) == "shown shown s c shown shown"


def test_without_a_total_no_county_needs_company() -> None:
    assert row(300, 8, 90, total=False) == "shown s shown"


def test_an_empty_county_protects_nobody() -> None:
    assert row(300, 8, 0, 70) == "shown shown s s c"


def test_a_total_with_a_single_county_shares_its_fate() -> None:
    assert row(8, 0) == "s s s"


def test_where_no_county_is_published_the_total_bounds_them_all_and_needs_2k_persons() -> None:
    assert row(10, 9) == "c s s"
    assert row(10, 11) == "c s c"
    assert row(10, 12) == "shown s c"


@pytest.mark.parametrize(
    ("p", "shown"), [(25, True), (50, True), (75, True), (90, True), (95, False), (99, False)]
)
def test_sixty_stays_show_the_percentiles_up_to_p90(p: int, shown: bool) -> None:
    stays = np.arange(60, dtype=np.int64)
    assert percentile(stays, np.array([0, 60]), p, profile())[1].tolist() == [shown]


def test_counts_are_published_to_five() -> None:
    assert (round_count(np.arange(11, 500), 5, b"invented key", floor=11) % 5 == 0).all()
