"""Ranges of periods, written out."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.serving.periods import LONGEST, expand


@pytest.mark.parametrize(
    ("first", "last", "grain", "periods"),
    [
        ("2024Q3", "2025Q1", "quarter", ("2024Q3", "2024Q4", "2025Q1")),
        ("2024-11", "2025-02", "month", ("2024-11", "2024-12", "2025-01", "2025-02")),
        ("2023", "2024", "year", ("2023", "2024")),
        ("2024Q1", "2024Q1", "quarter", ("2024Q1",)),
    ],
)
def test_both_ends_are_included(
    first: str, last: str, grain: str, periods: tuple[str, ...]
) -> None:
    assert expand(first, last, grain) == periods


@pytest.mark.parametrize(
    ("first", "last", "grain"),
    [
        ("2024Q2", "2024Q1", "quarter"),
        ("2024-13", "2024-13", "month"),
        ("2024-00", "2024-01", "month"),
        ("2024Q5", "2024Q5", "quarter"),
        ("2024Q1", "2024Q2", "month"),
        ("2024Q1\n", "2024Q2", "quarter"),
        ("２０２４", "２０２４", "year"),
        ("", "2024", "year"),
        ("0001-01", "0001-12", "month"),
        ("2262-01", "2262-12", "month"),
    ],
)
def test_a_range_that_is_none_is_refused(first: str, last: str, grain: str) -> None:
    with pytest.raises(BadRequest) as refused:
        expand(first, last, grain)
    assert refused.value.code == "invalid_period"


def test_the_longest_range_is_the_limit() -> None:
    assert len(expand("2010-01", "2019-12", "month")) == LONGEST
    with pytest.raises(BadRequest):
        expand("2010-01", "2020-01", "month")
