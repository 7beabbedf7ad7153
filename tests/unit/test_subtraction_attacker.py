"""The attacker by sets finds each way in which up to three published counts leave a few."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from tests.subtraction_attacker import Attacker, Leak, told

K = 11
# A hundred people; the first forty are women. Thirty-five women and fifty men have a drug.
EVERYBODY = range(100)
WOMEN, MEN = range(40), range(40, 100)
DRUG = [*range(35), *range(40, 90)]
YOUNG, OLD = [*range(20), *range(40, 70)], [*range(20, 40), *range(70, 100)]

WOMEN_AND_DRUG = {"women": WOMEN, "men with": range(40, 90), "with": DRUG}
LEVELS = {"tertiary": range(60), "primary": range(52, 100), "both": EVERYBODY}
REST = [*range(16), *range(40, 100)]
CORNERS = {"all": EVERYBODY, "old women": range(20, 40), "rest": REST}


def attacker(cells: Mapping[str, object]) -> tuple[Attacker, list[str]]:
    members = np.zeros((len(cells), 100), np.bool_)
    for row, who in enumerate(cells.values()):
        members[row, list(who)] = True  # type: ignore[call-overload]  # ranges and lists of people
    return Attacker(members, K), list(cells)


def found(cells: Mapping[str, object]) -> dict[str, int]:
    of, names = attacker(cells)
    return {told(leak, names): leak.left for leak in of.leaks()}


def test_cells_of_many_leave_nobody_to_find() -> None:
    assert found({"all": EVERYBODY, "women": WOMEN, "men": MEN, "young": YOUNG}) == {}


@pytest.mark.parametrize(
    ("form", "cells", "left"),
    [
        ("all less most", {"all": EVERYBODY, "most": range(95)}, 5),
        ("women less with", {"women": WOMEN, "with": range(35)}, 5),
        ("all less men less with", {"all": EVERYBODY, "men": MEN, "with": range(35)}, 5),
        # Two bands of five years less one of ten: nobody counts the ten years in the first table.
        ("young plus old less with", {"young": YOUNG, "old": OLD, "with": range(93)}, 7),
        # Women, and men with the drug, less all with it: women without.
        ("women plus men with less with", WOMEN_AND_DRUG, 5),
        # Two overlapping parts less their union: those in both.
        ("tertiary plus primary less both", LEVELS, 8),
        # Nothing between the three is named after the other, but it adds up.
        ("all less old women less rest", CORNERS, 4),
    ],
)  # fmt: skip
def test_a_planted_leak_of_each_form_is_found(
    form: str, cells: Mapping[str, object], left: int
) -> None:
    turned = dict(reversed(cells.items()))
    for order in (cells, turned):
        same = {frozenset(text.replace(" less ", " plus ").split(" plus ")): n
                for text, n in found(order).items()}  # fmt: skip
        assert same == {frozenset(form.replace(" less ", " plus ").split(" plus ")): left}


def test_what_is_no_set_is_no_leak() -> None:
    """Women less the old: some women counted, some men counted negatively."""
    assert found({"women": WOMEN, "old men": range(65, 100)}) == {}


def test_exactly_k_left_is_allowed_and_one_is_not() -> None:
    assert found({"all": EVERYBODY, "some": range(89)}) == {}
    of, _ = attacker({"all": EVERYBODY, "some": range(99)})
    assert list(of.leaks()) == [Leak((0,), (1,), 1)]
