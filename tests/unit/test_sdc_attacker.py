"""The attacker of the disclosure tests is itself right on tables worked by hand."""

from __future__ import annotations

from tests.sdc_attacker import Table

# Two axes of two values; margins published, inner cells hidden:
#        a    b  | all
#   x    3   20  |  23
#   y   20    5  |  25
#  all  23   25  |  48
PERSONS = {
    (0, 0): 48,
    (1, 0): 23,
    (2, 0): 25,
    (0, 1): 23,
    (0, 2): 25,
    (1, 1): 3,
    (1, 2): 20,
    (2, 1): 20,
    (2, 2): 5,
}
INNER = frozenset({(1, 1), (1, 2), (2, 1), (2, 2)})
FLAT = [[-1, 0, 0], [-1, 0, 0]]


def table(hidden: frozenset[tuple[int, ...]], adds_up: bool = True) -> Table:
    return Table(PERSONS, hidden, FLAT, [adds_up, adds_up])


def test_four_hidden_cells_of_a_square_cannot_be_computed() -> None:
    assert table(INNER).computable() == set()


def test_three_hidden_cells_of_a_square_are_all_computed() -> None:
    assert table(INNER - {(2, 2)}).computable() == INNER - {(2, 2)}


def test_a_single_hidden_margin_is_computed_from_its_cells() -> None:
    assert table(frozenset({(1, 0)})).computable() == {(1, 0)}


def test_linear_bounds_of_a_square_are_those_found_by_hand() -> None:
    bounds = table(INNER).bounds([(1, 1), (2, 2)])
    assert bounds == {(1, 1): (0.0, 23.0), (2, 2): (2.0, 25.0)}


def test_squeezing_finds_the_same_bounds_on_a_square() -> None:
    assert table(INNER).squeezed([(1, 1), (2, 2)]) == {(1, 1): (0.0, 23.0), (2, 2): (2.0, 25.0)}


def test_where_persons_do_not_add_up_a_child_is_only_below_its_parent() -> None:
    loose = {**PERSONS, (0, 0): 40}
    square = Table(loose, INNER, FLAT, [False, False])
    assert square.squeezed([(2, 2)]) == {(2, 2): (2.0, 25.0)}
    assert Table(loose, INNER, FLAT, [False, False]).bounds([(1, 1)])[1, 1][0] == 0.0
