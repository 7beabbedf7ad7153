"""A hidden amount is not known closely, though every count of persons is protected well enough.

The table by hand: 60 persons in (1,1) pay half a million and are hidden, since one institution
has most of it. With (1,2), (2,1) and (2,2) hidden beside them each count may be anything. But row 2
as a whole is published and small, so (2,1) is, and (1,1) is what column 1 leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

from gateway.releases.sdc import Job, Lattice, protect_linked
from gateway.releases.sdc.possible import Layout
from tests.sdc_factory import axis, facts, profile

PERSONS = [[60, 40], [30, 30], [300, 300]]
AMOUNTS = [[500_000, 10_000], [10_000, 10_000], [900_000, 900_000]]
CELLS = list(product(range(4), range(3)))
RECTANGLE: set[tuple[int, int]] = {(1, 1), (1, 2), (2, 1), (2, 2)}


def summed(figures: Sequence[Sequence[int]]) -> dict[tuple[int, int], int]:
    """The figures with their totals, which are the cells with a code of 0."""
    table = np.array(figures)
    return {
        (x, y): int(table[x - 1 if x else slice(None), y - 1 if y else slice(None)].sum())
        for x, y in CELLS
    }


def hidden(amounts: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """The cells hidden, (1,1) for its own sake."""
    table = Lattice((axis("x", [0] * 3), axis("y", [0, 0])), np.array(CELLS, np.int32))
    persons, fen = summed(PERSONS), {c: 100 * v for c, v in summed(amounts).items()}
    shares = [0.95 if cell == (1, 1) else 0.2 for cell in CELLS]
    given = facts([persons[c] for c in CELLS], magnitude=[fen[c] for c in CELLS], top1_share=shares)
    (flags,) = protect_linked([Job(table, given, profile())], [])
    return {cell for cell, flag in zip(CELLS, flags, strict=True) if flag}


def interval(
    amounts: Sequence[Sequence[int]], unseen: set[tuple[int, int]], cell: tuple[int, int]
) -> tuple[float, float]:
    """The least and the greatest amount of a cell that fit the sums of what is shown."""
    known, order = summed(amounts), sorted(unseen)
    rows, right = [], []
    for fixed, other in product((0, 1), range(4)):
        group = [c for c in CELLS if c[fixed] == other]
        if group:
            sign = {c: -1 if c[1 - fixed] == 0 else 1 for c in group}
            rows.append([sign.get(c, 0) for c in order])
            right.append(-sum(sign[c] * known[c] for c in group if c not in unseen))
    goal = [float(c == cell) for c in order]
    low, high = (linprog(s * np.array(goal), A_eq=rows, b_eq=right).fun * s for s in (1, -1))
    return low, high


def test_a_rectangle_that_hides_persons_does_not_hide_what_they_paid() -> None:
    even = [[10_000] * 2] * 3
    assert hidden(even) == RECTANGLE
    low, high = interval(AMOUNTS, RECTANGLE, (1, 1))
    assert (low, high) == pytest.approx((490_000, 510_000))
    more = hidden(AMOUNTS)
    assert more > RECTANGLE
    low, high = interval(AMOUNTS, more, (1, 1))
    assert low == 0 or high - low >= 0.2 * high


def test_a_cell_that_is_not_told_to_be_empty_is_part_of_its_sums() -> None:
    table = Lattice((axis("x", [0] * 4), axis("y", [0, 0])), np.array(CELLS, np.int32))
    never = [[(0, np.isin(np.arange(5), [4]))]]
    alike = np.zeros(len(CELLS), np.int64)
    for zeros, parts in (((), 4), (never, 3)):
        found = Layout(table, alike, zeros).families(alike == 0)
        along_x = np.bincount(found.edge_family)[:3]
        assert along_x.tolist() == [parts] * 3
        assert found.whole.all()
        assert found.key.size == len(CELLS) + 3 * (parts - 3)


def test_amounts_of_different_kinds_do_not_add_up() -> None:
    # Stays along one axis, drugs beside them: the stays' total says nothing of the drugs.
    table = Lattice((axis("x", [0] * 3), axis("y", [0, 0])), np.array(CELLS, np.int32))
    kind = (table.codes[:, 1] > 0).astype(np.int64)
    found = Layout(table, kind, ()).families(kind >= 0)
    assert set(kind[table.index.find(found.key[found.parent])].tolist()) == {0, 1}
    child, parent = (
        table.index.find(found.key[of])
        for of in (found.edge_child, found.parent[found.edge_family])
    )
    assert (kind[child] == kind[parent]).all()


@pytest.mark.parametrize("share", [0.5, 0.97])
def test_the_protection_level_is_what_dominance_leaves_to_others(share: float) -> None:
    # 490 to 510 thousand: a fiftieth would do where one institution may have 97 %.
    table = Lattice((axis("x", [0] * 3), axis("y", [0, 0])), np.array(CELLS, np.int32))
    persons, fen = summed(PERSONS), {c: 100 * v for c, v in summed(AMOUNTS).items()}
    given = facts(
        [persons[c] for c in CELLS],
        magnitude=[fen[c] for c in CELLS],
        top1_share=[0.99 if cell == (1, 1) else 0.2 for cell in CELLS],
    )
    rules = profile(top1_share_max=share)
    (flags,) = protect_linked([Job(table, given, rules)], [])
    assert (int((flags != 0).sum()) == len(RECTANGLE)) is (share > 0.96)
