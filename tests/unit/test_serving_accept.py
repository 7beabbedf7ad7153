"""Which format an Accept header chooses."""

from __future__ import annotations

import pytest

from gateway.serving.accept import ARROW, CSV, JSON, choose
from gateway.serving.reasons import NotAcceptable


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/vnd.apache.arrow.stream", ARROW),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.5, */*", JSON),
        ("application/json;q=0, */*", CSV),
        ("text/html, application/xhtml+xml, */*;q=0.1", JSON),
        ("application/json;q=0.1, application/*;q=0.9", ARROW),
        ("text/csv; header=present; q=1", CSV),
    ],
)
def test_the_most_specific_range_and_the_highest_quality_decide(
    header: str | None, chosen: str
) -> None:
    assert choose(header) == chosen


@pytest.mark.parametrize(
    "header", ["text/html", "application/json;q=0", "text/csv;q=nonsense", "x", "*/*;q=0", "json"]
)
def test_nothing_else_is_acceptable(header: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(header)
