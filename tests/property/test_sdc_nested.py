"""Subtraction across two tables agrees with plain loops over words, which share no code with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.releases.sdc import Lattice
from gateway.releases.sdc.combined import Rests, rests
from gateway.releases.sdc.nested import Counts
from tests.sdc_factory import axis

K = 11
Cell = tuple[str, ...]
Named = tuple[str, Cell]
Found = tuple[frozenset[Named], frozenset[Named]]

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


Held = Mapping[Cell, int]
Sum = tuple[int, list[Named], list[Named]]


def by_hand(outer: Held, inner: Held) -> set[Found]:
    """All combinations, written out for these two tables."""
    sums = chain(
        less_inner(outer, inner), less_both_sexes(outer, inner), two_less_whole(outer, inner)
    )
    return {(frozenset(plus), frozenset(minus)) for left, plus, minus in sums if 0 < abs(left) < K}


def less_inner(outer: Held, inner: Held) -> Iterator[Sum]:
    """An outer cell less an inner one; less a child beside it; less two inner siblings."""
    for upper, total in outer.items():
        within = [cell for cell in inner if contains(upper, cell)]
        for cell in within:
            left = total - inner[cell]
            yield left, [("outer", upper)], [("inner", cell)]
            for child in (child for child in outer if apart(child, upper, cell)):
                minus = [("inner", cell), ("outer", child)]
                yield left - outer[child], [("outer", upper)], minus
        for one, other, parent in siblings(within):
            if contains(upper, parent):
                minus = [("inner", one), ("inner", other)]
                yield total - inner[one] - inner[other], [("outer", upper)], minus


def less_both_sexes(outer: Held, inner: Held) -> Iterator[Sum]:
    """Everybody less some women and some men, in whatever else they differ."""
    for upper, total in outer.items():
        inside = [e for e in every(outer, inner) if holds(("outer", upper), e[:2])]
        for one, other in combinations(inside, 2):
            mixed = "inner" in (one[0], other[0]) and ("outer", upper) not in (one[:2], other[:2])
            if upper[1] == "*" and mixed and {one[1][1], other[1][1]} == {"f", "m"}:
                yield total - one[2] - other[2], [("outer", upper)], [one[:2], other[:2]]


def two_less_whole(outer: Held, inner: Held) -> Iterator[Sum]:
    """Two cells that each hold one of the two parts of an inner cell, less that cell."""
    known = list(every(outer, inner))
    for cell, at in product(inner, range(3)):
        for parts in two_parts(cell, at, inner):
            lists = [
                [e for e in known if holds(e[:2], part) and not holds(e[:2], ("inner", cell))]
                for part in parts
            ]
            for one, other in product(*lists):
                if "outer" in (one[0], other[0]):
                    yield one[2] + other[2] - inner[cell], [one[:2], other[:2]], [("inner", cell)]


def every(outer: Held, inner: Held) -> Iterator[tuple[str, Cell, int]]:
    yield from (("outer", cell, count) for cell, count in outer.items())
    yield from (("inner", cell, count) for cell, count in inner.items())


def two_parts(cell: Cell, at: int, inner: Held) -> list[list[Named]]:
    """The parts of an inner cell, where there are just two: the sexes, or all that hold records."""
    words = [w for w in INNER_WORDS[at] if UP[w] == cell[at]]
    parts = [(*cell[:at], word, *cell[at + 1 :]) for word in words]
    held = [part for part in parts if part in inner]
    return [[("inner", part) for part in two] for two in (parts, held) if len(two) == 2][:1]


def holds(upper: Named, lower: Named) -> bool:
    """Whether a cell of either table contains one, or is it."""
    kind, cell = upper
    if kind == "outer" and lower[0] == "inner":
        return contains(cell, lower[1])
    if kind == "inner" and lower[0] == "outer":
        return False
    return all(word in above(low) for word, low in zip(cell, lower[1], strict=True))


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


@settings(max_examples=60, deadline=None)
@given(counts(OUTER_WORDS), counts(INNER_WORDS))
def test_every_small_rest_across_two_tables_is_found_and_nothing_else(
    outer: dict[Cell, int | None], inner: dict[Cell, int | None]
) -> None:
    of = rests(
        table(OUTER_WORDS, OUTER_AXES, outer), table(INNER_WORDS, INNER_AXES, inner), STEPS, K
    )
    assert told(of, outer, inner) == by_hand(
        {cell: n for cell, n in outer.items() if n is not None},
        {cell: n for cell, n in inner.items() if n is not None},
    )


def told(of: Rests, outer: Mapping[Cell, object], inner: Mapping[Cell, object]) -> set[Found]:
    names = [*(("outer", cell) for cell in outer), *(("inner", cell) for cell in inner)]
    return {
        (
            frozenset(names[i] for i in plus if i >= 0),
            frozenset(names[i] for i in minus if i >= 0),
        )
        for plus, minus in zip(of.plus.tolist(), of.minus.tolist(), strict=True)
    }


def test_women_with_a_drug_less_one_leave_the_few_without() -> None:
    outer = dict.fromkeys(cells_of(OUTER_WORDS), None) | {("q1", "f", "*"): 60}
    inner = dict.fromkeys(cells_of(INNER_WORDS), None) | {("q1", "f", "*"): 55}
    of = rests(
        table(OUTER_WORDS, OUTER_AXES, outer), table(INNER_WORDS, INNER_AXES, inner), STEPS, K
    )
    assert told(of, outer, inner) == {
        (frozenset({("outer", ("q1", "f", "*"))}), frozenset({("inner", ("q1", "f", "*"))}))
    }


def test_equal_figures_leave_nobody_and_are_no_finding() -> None:
    outer = dict.fromkeys(cells_of(OUTER_WORDS), None) | {("q1", "f", "*"): 55}
    inner = dict.fromkeys(cells_of(INNER_WORDS), None) | {("q1", "f", "*"): 55}
    of = rests(
        table(OUTER_WORDS, OUTER_AXES, outer), table(INNER_WORDS, INNER_AXES, inner), STEPS, K
    )
    assert len(of) == 0
