"""Recall and precision of structured identifiers on drawn texts, as the issue asks."""

from __future__ import annotations

import random

import pytest

from gateway.freetext.scanner import scan
from tests.identifier_texts import KINDS, identifier, nothing
from tests.law_cases import cases

RECALL, PRECISION = 0.995, 0.98


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_identifiers_are_found_whole_in_any_dress(kind: str) -> None:
    draw, count = random.Random(kind), cases(400)  # noqa: S311 -- texts of a test
    whole = 0
    for _ in range(count):
        drawn = identifier(draw, kind)
        masked = {at for span in scan(drawn.text) for at in range(span.start, span.end)}
        whole += masked >= set(range(drawn.start, drawn.end))
    assert whole / count >= RECALL


def test_of_what_is_masked_little_is_no_identifier() -> None:
    """As many texts without an identifier as with one."""
    draw, count = random.Random(1), cases(2000)  # noqa: S311 -- texts of a test
    right = wrong = 0
    for _ in range(count):
        drawn = identifier(draw, draw.choice(sorted(KINDS)))
        for span in scan(drawn.text):
            touches = span.start < drawn.end and drawn.start < span.end
            right, wrong = right + touches, wrong + (not touches)
        wrong += len(scan(nothing(draw)))
    assert right / (right + wrong) >= PRECISION
