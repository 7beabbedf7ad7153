"""What a span may tell: words and counts under names of a closed list, whoever hands it what."""

from __future__ import annotations

import pytest

from gateway.tracing import ATTRIBUTES, told


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_no_text_but_a_word_is_told(name: str) -> None:
    for text in ("张三", "a person's name", "SELECT 1 FROM x", "/v1/consents/1?x=1", "x" * 500, ""):
        assert told({name: text}) == {}
    assert told({name: 3}) == {name: 3}


def test_a_name_that_is_not_on_the_list_is_not_told() -> None:
    assert told({"certno": 1, "sluice.subject": "S02", "sluice.service": "S02"}) == {
        "sluice.service": "S02"
    }
