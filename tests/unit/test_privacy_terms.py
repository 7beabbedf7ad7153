"""What a profile says of noise, and how much one person can change."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gateway.privacy.bounding import bounded, counts
from gateway.privacy.terms import PrivacyError, PrivateTable, Terms

SHIPPED: dict[str, Any] = {"optional": True, "epsilon_per_release": 0.5, "epsilon_year": 4}


def test_a_profile_is_private_only_where_it_says_on() -> None:
    assert Terms.of({}) is None
    assert Terms.of({"dp": SHIPPED}) is None
    assert Terms.of({"dp": {**SHIPPED, "on": False, "epsilon_year": "nonsense"}}) is None
    told = {**SHIPPED, "on": True, "tables": {"S02": {"dims": [], "geo": "city", "grain": "year"}}}
    assert Terms.of({"dp": {**told, "epsilon_per_release": 0.1}}) == Terms(
        Fraction(1, 10), Fraction(4), 1, {"S02": PrivateTable((), "city", "year")}
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon_per_release": 0},
        {"epsilon_per_release": 5},
        {"epsilon_year": None},
        {"contributions": 0},
        {"on": "yes"},
        {"tables": {"S02": {"dims": []}}},
    ],
)
def test_terms_that_do_not_add_up_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PrivacyError) as refused:
        Terms.of({"dp": {**SHIPPED, "on": True, **wrong}})
    assert refused.value.code == "dp_terms"


def _population(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, 3000), rng.integers(0, 40, 3000)


@pytest.mark.parametrize("c", [1, 3])
def test_nobody_counts_in_more_cells_than_allowed_nor_twice_in_one(c: int) -> None:
    person, cell = _population(c)
    kept, cells = bounded(person, cell, c, np.random.default_rng(1))
    assert np.bincount(kept).max() == c
    assert len({*zip(kept.tolist(), cells.tolist(), strict=True)}) == len(kept)
    assert {*zip(kept.tolist(), cells.tolist(), strict=True)} <= {
        *zip(person.tolist(), cell.tolist(), strict=True)
    }


@pytest.mark.parametrize("c", [1, 3])
def test_a_person_in_every_cell_a_thousand_times_changes_no_more_than_allowed(c: int) -> None:
    """Others keep their cells: pairs of theirs that are within the bound are never left out."""
    person = np.repeat(np.arange(100), c)
    cell = (person * 7 + np.tile(np.arange(c), 100)) % 40
    everywhere = np.tile(np.arange(40), 1000)
    without = counts(person, cell, 40, c, np.random.default_rng(5))
    both = np.append(person, np.full(len(everywhere), 100)), np.append(cell, everywhere)
    with_it = counts(*both, 40, c, np.random.default_rng(6))
    assert np.abs(with_it - without).sum() == c
    assert (with_it - without).max() == 1


def test_which_cells_of_a_person_count_is_uniform_and_blind_to_others() -> None:
    """Chi-square of the kept cell of 4 000 persons in four cells each; the seed is fixed."""
    person, cell = np.repeat(np.arange(4000), 4), np.tile(np.arange(4), 4000)
    found = counts(person, cell, 4, 1, np.random.default_rng(11))
    assert found.sum() == 4000
    assert ((found - 1000) ** 2 / 1000).sum() < 16.27  # 0.999 of 3 degrees of freedom


def test_a_cell_outside_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        counts(np.array([1]), np.array([3]), 3, 1, np.random.default_rng(1))
