"""Nobody who adds and subtracts up to three published cells is left with fewer than k persons.

The attacker of `tests.subtraction_attacker` is given the very sets behind all published counts of a
quarter: persons of S02 and S09, settlements of S02, S04 and S06. He shares no code with the build
and knows of no form of subtraction, so he finds those that nobody thought of.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.release_recount import PERSON_FIGURE, Recount, Sheet, counts, sheets
from tests.release_warehouse import Built
from tests.subtraction_attacker import Attacker, told

K = 11
QUARTERS = ("2024Q1", "2024Q2", "2024Q3", "2024Q4")
FEE = {"fee_cat14", "catalog_lv3"}
SETTLED = {"S02", "S04", "S06"}


@dataclass
class Published:
    """Cells of one quarter with who is in them."""

    names: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    members: list[set[int]] = field(default_factory=list)

    def add(self, sheet: Sheet, cells: list[int], inside: dict[int, set[int]]) -> None:
        for i in cells:
            values = [f"{name}={held[i]}" for name, held in sheet.where.items()]
            self.names.append(f"{sheet.service} {' '.join(values)}")
            self.counts.append(sheet.persons[i])
            self.members.append(inside.get(i, set()))

    def attacker(self, *, rounded: bool = False) -> Attacker:
        number = {who: i for i, who in enumerate(sorted(set().union(*self.members)))}
        members = np.zeros((len(self.names), len(number)), np.bool_)
        for row, inside in enumerate(self.members):
            members[row, [number[who] for who in inside]] = True
        return Attacker(members, K, np.array(self.counts, np.int64) if rounded else None)

    def leaks(self, *, rounded: bool = False) -> list[str]:
        return [told(leak, self.names) for leak in self.attacker(rounded=rounded).leaks()]


@pytest.fixture(scope="module")
def recount(built: Built) -> Recount:
    return Recount(built.warehouse)


def in_quarter(sheet: Sheet, i: int, quarter: str) -> bool:
    period = sheet.where["period"][i]
    if sheet.grain == "month":
        period = f"{period[:4]}Q{(int(period[5:]) + 2) // 3}"
    return period == quarter


def persons(built: Built, recount: Recount, quarter: str, *, withheld: bool = False) -> Published:
    """Cells with a person count; with `withheld` also those of which it alone is kept back."""
    found = Published()
    for sheet in sheets(built.home / "releases"):
        if sheet.service in PERSON_FIGURE and not FEE & set(sheet.columns):
            every = range(len(sheet)) if withheld else sheet.having(PERSON_FIGURE[sheet.service])
            cells = [i for i in every if in_quarter(sheet, i, quarter)]
            found.add(sheet, cells, recount.members(sheet, cells, "person", counts(sheet)))
    return found


def settlements(built: Built, recount: Recount, quarter: str) -> Published:
    """Cells with a count of settlements, of the three services that count the same ones."""
    found = Published()
    for sheet in sheets(built.home / "releases"):
        if sheet.service in SETTLED and not FEE & set(sheet.columns):
            cells = [i for i in range(len(sheet)) if in_quarter(sheet, i, quarter)]
            found.add(sheet, cells, recount.members(sheet, cells, "hash(setl_id)", "n = 1"))
    return found


@pytest.mark.parametrize("quarter", QUARTERS)
def test_no_three_counts_of_persons_leave_a_few(
    built: Built, recount: Recount, quarter: str
) -> None:
    shown = persons(built, recount, quarter)
    assert len(shown.names) > 500
    assert shown.leaks() == []
    assert shown.leaks(rounded=True) == []


@pytest.mark.parametrize("quarter", QUARTERS)
def test_no_three_counts_of_settlements_leave_a_few(
    built: Built, recount: Recount, quarter: str
) -> None:
    shown = settlements(built, recount, quarter)
    assert {name[:3] for name in shown.names} == SETTLED
    assert shown.leaks() == []


def test_the_attacker_finds_what_the_withheld_counts_would_give_away(
    built: Built, recount: Recount
) -> None:
    leaks = [text for q in QUARTERS for text in persons(built, recount, q, withheld=True).leaks()]
    assert any(text.startswith("S02") and " less S09" in text for text in leaks)
