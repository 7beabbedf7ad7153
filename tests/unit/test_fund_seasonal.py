"""A monthly series carried on: what any outlook must be like, and months of reserve by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gateway.catalogue.model import Grain
from gateway.releases.facts import Period
from gateway.releases.kinds.late import label_before
from gateway.releases.kinds.seasonal import PATHS, outlook

SEASON = (100, 80, 60, 55, 60, 70, 90, 120, 150, 170, 150, 120)


def series(years: int, *, growth: int = 0, noise: int = 0) -> tuple[int, ...]:
    rng = np.random.default_rng(7)
    rows = 1000 * np.tile(SEASON, years) + growth * np.arange(12 * years)
    return tuple((rows + noise * rng.standard_normal(rows.size)).astype(int).tolist())


def test_what_repeats_itself_is_expected_to_do_so_again() -> None:
    found = outlook(series(4))
    assert found.expected == pytest.approx(1000 * np.array(SEASON), rel=0.01)
    assert max(found.errors.values()) < 0.01


def test_an_outlook_is_the_same_whenever_it_is_made() -> None:
    told = outlook(series(4, noise=3000))
    outlook.cache_clear()
    again = outlook(series(4, noise=3000))
    assert again.expected.tolist() == told.expected.tolist()
    assert again.paths.tolist() == told.paths.tolist()
    assert again.errors == told.errors


def test_the_more_chance_there_was_the_wider_is_what_may_come() -> None:
    calm, wild = (outlook(series(4, noise=noise)).paths.std(axis=0) for noise in (500, 5000))
    assert (wild > 3 * calm).all()


def test_a_growing_series_is_expected_to_grow_but_less_and_less() -> None:
    found = outlook(series(5, growth=500, noise=200)).expected
    year = float(found.sum()) - sum(series(5, growth=500, noise=200)[-12:])
    assert 0 < year <= 1.1 * 12 * 12 * 500


def test_what_was_never_below_nought_does_not_fall_below_it() -> None:
    low = tuple(max(0, value - 60_000) for value in series(4, noise=20_000))
    assert min(low) == 0
    assert outlook(low).paths.min() == 0
    assert outlook(low, either_sign=True).paths.min() < 0


def test_neighbouring_months_are_added_up_path_by_path() -> None:
    found = outlook(series(4, noise=3000))
    expected, outcomes = found.summed(3, 3)
    assert expected == pytest.approx(found.expected[3:6].sum())
    assert outcomes.shape == (PATHS,)
    assert outcomes[17] == pytest.approx(
        found.paths[17, 3] + found.paths[17, 4] + found.paths[17, 5]
    )


def test_no_error_is_told_of_months_in_which_nothing_was_paid() -> None:
    assert outlook((*series(3), *([0] * 12))).errors == {}


@pytest.mark.parametrize(
    ("grain", "label", "steps", "found"),
    [
        (Grain.MONTH, "2024-01", 1, "2023-12"),
        (Grain.MONTH, "2024-12", 11, "2024-01"),
        (Grain.QUARTER, "2024Q1", 5, "2022Q4"),
        (Grain.YEAR, "2024", 1, "2023"),
        (Grain.YEAR, "2024", 0, "2024"),
    ],
)
def test_steps_back_in_time_are_counted_in_periods(
    grain: Grain, label: str, steps: int, found: str
) -> None:
    assert label_before(Period(grain, label, 0, 0), steps) == found


def test_neither_what_serves_nor_what_starts_a_build_reads_statsmodels() -> None:
    said = "import sys, gateway.app, gateway.cli, gateway.releases.build"
    told = subprocess.run(
        [sys.executable, "-c", f"{said}; print('statsmodels' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"
