"""No regular expression of the source or its data can be held up by a text (ReDoS)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.regex_probe import ROOT, Found, everything, held_up


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"(a+)+b", "fullmatch"),
        (r"(a|a)*b", "search"),
        (r"x*y", "search"),
        (r"(?:-?[0-9.]+[ \t]*[,;|\t][ \t]*){8,}", "search"),
        (r"\s+$", "sub"),
    ],
)
def test_the_probe_sees_what_grows_faster_than_its_text(pattern: str, method: str) -> None:
    assert held_up(Found(pattern, 0, method, "here")) is not None


@pytest.mark.parametrize("pattern", [r"[a-z]{1,64}", r"\d{4}-\d\d", r"(?<!x)x++y", r"a*b"])
def test_the_probe_lets_a_line_be(pattern: str) -> None:
    assert held_up(Found(pattern, 0, "fullmatch", "here")) is None


def test_the_probe_knows_every_pattern_but_those_of_data() -> None:
    """A new place that asks by a pattern from elsewhere has to be looked at, and named here."""
    found, elsewhere = everything()
    assert len(set(found)) > 300
    assert {one.rpartition(":")[0] for one in elsewhere} == {
        "gateway/codes/reading.py",  # of the operator's lists, whose own patterns are asked
        "gateway/codes/sources.py",
        "gateway/freetext/candidates.py",  # put together at import, and asked as it stands then
        "gateway/freetext/known.py",  # a given word, spaced
        "gateway/freetext/patterns.py",
        "gateway/masking/classify.py",  # of the classification, whose own patterns are asked
        "gateway/policy/bundle.py",
    }


@pytest.mark.slow
def test_no_text_holds_a_pattern_up() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.regex_probe"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=280,
    )
    told = json.loads(ended.stdout)
    assert told["asked"] > 300
    assert told["slow"] == {}
