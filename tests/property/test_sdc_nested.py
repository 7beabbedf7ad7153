"""Subtraction across two tables agrees with plain loops over words, which share no code with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc import Lattice
from gateway.releases.sdc.nested import Counts, rests
from tests.sdc_factory import axis

K = 11
Cell = tuple[str, ...]

# The outer table counts by quarter, sex and group (two levels); the inner by month or quarter, sex
# and drug, for the persons of group g1 alone.
UP = {"*": None, "q1": None, "m1": "q1", "m2": "q1", "m3": "q1", "f": "*", "m": "*"} | {
    "g": "*", "h": "*", "g1": "g", "g2": "g", "d1": "*", "d2": "*", "d3": "*",
}  # fmt: skip
OUTER_WORDS = (("*", "q1"), ("*", "f", "m"), ("*", "g", "h", "g1", "g2"))
INNER_WORDS = (("*", "q1", "m1", "m2", "m3"), ("*", "f", "m"), ("*", "d1", "d2", "d3"))
OUTER_AXES = (
    axis("period", [-1]),
    axis("sex", [0, 0]),
    axis("group", [0, 0, 1, 1], additive=False),
)
INNER_AXES = (
    axis("period", [-1, 1, 1, 1], additive=False),
    axis("sex", [0, 0]),
    axis("drug", [0, 0, 0], additive=False),
)
STEPS = (
    (0, np.array([-1, 1, -1, -1, -1])),
    (1, np.array([0, 1, 2])),
    (-1, np.array([3])),
)


def cells_of(words: tuple[tuple[str, ...], ...]) -> list[Cell]:
    return list(product(words[0][1:], *words[1:]))


def above(word: str) -> list[str]:
    """A word and everything coarser."""
    up = UP[word]
    return [word] if up is None else [word, *above(up)]


def contains(outer: Cell, inner: Cell) -> bool:
    period, sex, group = outer
    return period in above(inner[0]) and sex in above(inner[1]) and group in above("g1")


def siblings(cells: list[Cell]) -> Iterator[tuple[Cell, Cell, Cell]]:
    """Two cells that are children of one cell, and that cell."""
    for one, other in combinations(cells, 2):
        unlike = [i for i in range(3) if one[i] != other[i]]
        if len(unlike) == 1 and UP[one[unlike[0]]] == UP[other[unlike[0]]] is not None:
            at = unlike[0]
            yield one, other, (*one[:at], str(UP[one[at]]), *one[at + 1 :])


def apart(child: Cell, upper: Cell, inner: Cell) -> bool:
    """Whether `child` is one step below `upper` on one axis, and `inner` lies beside it there."""
    unlike = [i for i in range(3) if child[i] != upper[i]]
    if len(unlike) != 1 or UP[child[unlike[0]]] != upper[unlike[0]]:
        return False
    at = unlike[0]
    deep = above("g1") if at == 2 else above(inner[at])
    return deep[0] != upper[at] and child[at] not in deep


def by_hand(outer: Mapping[Cell, int], inner: Mapping[Cell, int]) -> set[tuple[Cell, ...]]:
    found: set[tuple[Cell, ...]] = set()
    for upper, total in outer.items():
        within = [cell for cell in inner if contains(upper, cell)]
        for cell in within:
            if 0 < abs(total - inner[cell]) < K:
                found.add((upper, cell))
            for child in outer:
                few = 0 < abs(total - inner[cell] - outer[child]) < K
                if few and apart(child, upper, cell):
                    found.add((upper, cell, ("outer", *child)))
        for one, other, parent in siblings(within):
            if contains(upper, parent) and 0 < abs(total - inner[one] - inner[other]) < K:
                found.add((upper, *sorted((one, other))))
    return found


def table(
    words: tuple[tuple[str, ...], ...], axes: tuple, figures: Mapping[Cell, int | None]
) -> Counts:
    codes = [[w.index(x) for w, x in zip(words, cell, strict=True)] for cell in figures]
    shown = np.array([n is not None for n in figures.values()], np.bool_)
    persons = np.array([n or 0 for n in figures.values()], np.int64)
    return Counts(Lattice(axes, np.array(codes, np.int32)), persons, shown)


def counts(words: tuple[tuple[str, ...], ...]) -> st.SearchStrategy[dict[Cell, int | None]]:
    figure = st.one_of(st.none(), st.integers(3, 16).map(lambda n: 5 * n))
    return st.fixed_dictionaries(dict.fromkeys(cells_of(words), figure))


@settings(max_examples=150, deadline=None)
@given(counts(OUTER_WORDS), counts(INNER_WORDS))
def test_every_small_rest_across_two_tables_is_found_and_nothing_else(
    outer: dict[Cell, int | None], inner: dict[Cell, int | None]
) -> None:
    of = rests(
        table(OUTER_WORDS, OUTER_AXES, outer), table(INNER_WORDS, INNER_AXES, inner), STEPS, K
    )
    uppers, lowers = list(outer), list(inner)
    found = set()
    for u, i, s, beside in zip(of.outer, of.inner, of.second, of.beside, strict=True):
        if s < 0:
            found.add((uppers[u], lowers[i]))
        elif beside:
            found.add((uppers[u], lowers[i], ("outer", *uppers[s])))
        else:
            found.add((uppers[u], *sorted((lowers[i], lowers[s]))))
    assert found == by_hand(
        {cell: n for cell, n in outer.items() if n is not None},
        {cell: n for cell, n in inner.items() if n is not None},
    )


def test_women_with_a_drug_less_one_leave_the_few_without() -> None:
    outer = dict.fromkeys(cells_of(OUTER_WORDS), None) | {("q1", "f", "*"): 60}
    inner = dict.fromkeys(cells_of(INNER_WORDS), None) | {("q1", "f", "*"): 55}
    of = rests(
        table(OUTER_WORDS, OUTER_AXES, outer), table(INNER_WORDS, INNER_AXES, inner), STEPS, K
    )
    assert of.outer.size == 1
    assert of.second.tolist() == [-1]


def test_equal_figures_leave_nobody_and_are_no_finding() -> None:
    outer = dict.fromkeys(cells_of(OUTER_WORDS), None) | {("q1", "f", "*"): 55}
    inner = dict.fromkeys(cells_of(INNER_WORDS), None) | {("q1", "f", "*"): 55}
    of = rests(
        table(OUTER_WORDS, OUTER_AXES, outer), table(INNER_WORDS, INNER_AXES, inner), STEPS, K
    )
    assert of.outer.size == 0
