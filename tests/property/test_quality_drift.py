"""The index of stability: nothing for equal shares, the same both ways, more where more moved."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic.integrity.drift import Grade, Shift, key_variables, psi
from synthetic.warehouse.schema import TABLES

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)


@given(COUNTS, st.integers(1, 50))
def test_equal_shares_have_no_index(counts: list[int], times: int) -> None:
    assert psi(counts, [times * n for n in counts]) == pytest.approx(0, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=2, max_size=12))
def test_the_index_is_symmetric_and_never_negative(pairs: list[tuple[int, int]]) -> None:
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    assert psi(old, new) == pytest.approx(psi(new, old))
    assert psi(old, new) >= 0


def test_a_known_index() -> None:
    expected = (0.3 - 0.5) * math.log(0.3 / 0.5) + (0.7 - 0.5) * math.log(0.7 / 0.5)
    assert psi([50, 50], [30, 70]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("index", "grade"),
    [(0.0999, Grade.OK), (0.1, Grade.WARN), (0.25, Grade.WARN), (0.2501, Grade.STOP)],
)
def test_the_index_is_graded_as_specified(index: float, grade: Grade) -> None:
    assert Shift("setl_d.age", index, 0, 0).grades["psi"] is grade


def test_a_blank_column_and_an_unknown_value_are_graded_too() -> None:
    shift = Shift("setl_d.age", 0, blank_old=0.0, blank_new=0.2, covered=0.9, unknown_values=3)
    assert shift.grades == {"psi": Grade.OK, "missing": Grade.STOP, "coverage": Grade.WARN}


def test_every_key_variable_is_a_column() -> None:
    for one in key_variables():
        assert TABLES[one.table].column(one.column)
        assert one.numeric is not one.coded
