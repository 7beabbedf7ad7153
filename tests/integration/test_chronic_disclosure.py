"""What S14 publishes keeps every threshold, and nobody who subtracts is left with a few.

Thresholds are SPEC 4.3's for DC2, of whole cells and of the parts that figures are of. The
attacker of `tests.subtraction_attacker` has the very sets behind the figures, of S14 and of S05,
whose persons contain its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.chronic_cells import PARTS, Behind, Shown
from tests.release_warehouse import Built
from tests.subtraction_attacker import Attacker, told

SENSITIVE = {"hepatitis_b", "mental"}
FEW = 11


@pytest.fixture(scope="module")
def behind(built: Built) -> Behind:
    return Behind(built.home)


@pytest.fixture(scope="module")
def cells(behind: Behind) -> list[Shown]:
    return list(behind.shown("S14"))


def broken(behind: Behind, cell: Shown, part: str) -> list[str]:
    """The limits that a cell, or the part of it a figure is of, does not keep."""
    held = behind.held(cell, part)
    if held is None:
        return ["nobody"]
    limits = {
        "persons": held.persons >= cell.k,
        "institutions": held.houses >= 3,
        "insured": held.insured >= 100,
        "one institution": held.largest <= 0.8,
        "two institutions": held.two_largest <= 0.9,
        "one person": held.one_person <= 0.5,
    }
    return [rule for rule, keeps in limits.items() if not keeps]


@pytest.mark.parametrize("part", PARTS)
def test_every_shown_cell_keeps_every_threshold(
    behind: Behind, cells: list[Shown], part: str
) -> None:
    own = [cell for cell in cells if not part or part.strip() in cell.figures]
    for cell in own:
        assert broken(behind, cell, part) == [], f"{part} of {cell}"
    assert len(own) > 30 or part not in {"", "visits"}


def test_a_cell_of_a_few_would_be_noticed(behind: Behind, cells: list[Shown]) -> None:
    """A cell one dim finer than allowed has few persons somewhere."""
    values = (str(n) for n in range(1, 6))
    finer = [
        Shown("S14", cell.profile, cell.k, {**cell.where, "stratum5": value}, {})
        for cell in cells
        if {"age10", "gend"} <= cell.where.keys()
        for value in values
    ]
    assert any("persons" in broken(behind, cell, "") for cell in finer)


def test_no_sensitive_disease_and_no_small_count_is_shown(cells: list[Shown]) -> None:
    assert len(cells) > 60
    assert {cell.k for cell in cells} == {11, 20}
    for cell in cells:
        assert cell.where["disease12"] not in SENSITIVE
        assert cell.figures.get("persons", cell.k) >= cell.k - cell.k % 5
        assert ("case_py" in cell.figures) == ("persons" in cell.figures)


def attacked(cells: Sequence[Shown], behind: Behind, figure: str, what: str) -> list[str]:
    """Every combination of up to three figures that leaves a few: by true counts, of persons also
    by published ones, which may leave a few by rounding alone."""
    members = [behind.members(cell, what) for cell in cells]
    number = {who: i for i, who in enumerate(sorted(set().union(*members)))}
    rows = np.zeros((len(cells), len(number)), np.bool_)
    for row, inside in enumerate(members):
        rows[row, [number[who] for who in inside]] = True
    counts = np.array([int(cell.figures[figure]) for cell in cells], np.int64)
    assert (np.abs(rows.sum(axis=1) - counts) <= 5).all()
    names = [str(cell) for cell in cells]
    leaks = list(Attacker(rows, FEW).leaks())
    if figure == "persons":
        leaks += Attacker(rows, FEW, counts).leaks()
    return [told(leak, names) for leak in leaks]


def distinct(cells: Sequence[Shown], figure: str) -> list[Shown]:
    """Cells with a figure, one of each, whatever the profile."""
    found = {
        (cell.service, tuple(cell.where.items())): cell for cell in cells if figure in cell.figures
    }
    return list(found.values())


def test_no_three_counts_of_persons_leave_a_few_alone_or_with_those_who_had_any_care(
    behind: Behind, cells: list[Shown]
) -> None:
    own = distinct(cells, "persons")
    every = [*own, *distinct(list(behind.shown("S05")), "persons")]
    assert len(own) > 50
    assert len(every) > len(own) + 50
    assert attacked(own, behind, "persons", "psn_no") == []
    assert [leak for leak in attacked(every, behind, "persons", "psn_no") if "S14" in leak] == []


def test_no_three_counts_of_stays_leave_a_few(behind: Behind, cells: list[Shown]) -> None:
    own = distinct(cells, "stays")
    assert len(own) > 15
    assert attacked(own, behind, "stays", "setl_id") == []


def test_the_attacker_finds_what_the_counts_of_all_cells_would_give_away(
    behind: Behind, cells: list[Shown]
) -> None:
    listed = behind.recount.connection.execute("""
        SELECT DISTINCT year, disease12, age10, gend FROM chronic WHERE cared""").fetchall()
    names = ("year", "disease12", "age10", "gend")
    finest = [dict(zip(names, row, strict=True)) for row in listed]
    wheres = [cell.where for cell in cells] + finest
    every = [Shown("S14", "", FEW, where, {}) for where in wheres]
    known = [
        Shown("S14", "", FEW, cell.where, {"persons": len(behind.members(cell))}) for cell in every
    ]
    assert attacked(distinct(known, "persons"), behind, "persons", "psn_no")
