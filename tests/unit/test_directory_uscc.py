"""The check character of an organisation's number finds what people mistype."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.uscc import CHARACTERS, check_character, uscc_fault

PUBLISHED = (
    "91110000600037341L",
    "91330100799655058B",
    "9144030071526726XG",
    "914403001922038216",
    "91110000802100433B",
)
FIRST = st.text(CHARACTERS, min_size=17, max_size=17)


@pytest.mark.parametrize("number", PUBLISHED)
def test_numbers_that_companies_publish_are_accepted(number: str) -> None:
    assert uscc_fault(number) is None


@pytest.mark.parametrize(
    "number",
    ["91110000600037341M", "9111000060003734L", "91110000600037341l", "I1110000600037341L", ""],
)
def test_another_last_character_length_case_or_letter_is_refused(number: str) -> None:
    assert uscc_fault(number)


@given(first=FIRST, place=st.integers(0, 16), typed=st.sampled_from(CHARACTERS))
def test_one_mistyped_character_is_found(first: str, place: int, typed: str) -> None:
    number = first + check_character(first)
    mistyped = number[:place] + typed + number[place + 1 :]
    assert (uscc_fault(mistyped) is None) == (mistyped == number)


@given(first=FIRST, place=st.integers(0, 15))
def test_two_neighbours_exchanged_are_found(first: str, place: int) -> None:
    number = first + check_character(first)
    a, b = number[place], number[place + 1]
    exchanged = number[:place] + b + a + number[place + 2 :]
    assert (uscc_fault(exchanged) is None) == (a == b)
