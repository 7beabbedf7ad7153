"""Search and validation agree with a second implementation, whatever is typed."""

from __future__ import annotations

import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.codes.sources import SHIPPED
from gateway.errors import BadRequest
from tests.codes_world import World, folder_of
from tests.second import s27

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LISTED = {one["system"]: one for one in s27.lists(SHIPPED)}
SERVED = [name for name, one in LISTED.items() if not one.get("withheld")]
ROWS = [(name, row) for name in SERVED for row in LISTED[name]["rows"]]
RUBBISH = [
    "%",
    "_",
    "'",
    '"',
    "\\",
    "*",
    "--",
    "; DROP TABLE concept",
    "ＡＢＣ",
    "高血壓",
    "ü",
    "ß",
    "İ",
]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("shelf"), SHIPPED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("hand-made"))


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("own-shelf"), folder)


@st.composite
def typed(draw: st.DrawFn) -> tuple[str, str]:
    """A list, and a part of one of its codes, titles or their sound."""
    system, row = draw(st.sampled_from(ROWS))
    sounds = s27.syllables(row["title_zh"])
    source = draw(
        st.sampled_from(
            [row["code"], row["title_zh"], row["title_en"], "".join(sounds),
             "".join(one[0] for one in sounds)]
        )
    )  # fmt: skip
    begin = draw(st.integers(0, max(0, len(source) - 1)))
    part = source[begin : begin + draw(st.integers(1, 12))]
    return system, draw(st.sampled_from([part, part.upper(), f" {part}"]))


def answer(world: World, system: str, asked: str) -> dict[str, Any] | None:
    """The answer to a search; None where the question was refused as no plain text."""
    try:
        return world.ask("search", system=system, q=asked, limit=5)
    except BadRequest as error:
        if error.code != "invalid_parameter" or (len(asked) > 2 and asked in error.message):
            raise
        return None


@QUICK
@given(typed=typed())
def test_a_part_of_what_is_listed_finds_it_in_the_same_order(
    shipped: World, typed: tuple[str, str]
) -> None:
    system, asked = typed
    assume(s27.fold(asked) and len(asked) <= 64)
    found = shipped.ask("search", system=system, q=asked, limit=100)["concepts"]
    by_title = [one["code"] for one in found if one["matched"] != "sound"]
    assert by_title == s27.search(LISTED[system], asked)[:100]


@QUICK
@given(
    asked=st.one_of(st.text(max_size=80), st.sampled_from(RUBBISH)), system=st.sampled_from(SERVED)
)
def test_whatever_is_typed_is_answered_the_same_twice_or_refused_by_name(
    shipped: World, asked: str, system: str
) -> None:
    once = answer(shipped, system, asked)
    if once is None:
        assert len(asked) > 64 or any(unicodedata.category(one)[0] == "C" for one in asked)
        return
    assert once == shipped.ask("search", system=system, q=asked, limit=5)
    assert len(once["concepts"]) <= 5
    if s27.fold(asked):
        by_title = [one["code"] for one in once["concepts"] if one["matched"] != "sound"]
        assert by_title == s27.search(LISTED[system], asked)[: len(by_title)]


CODES = st.one_of(
    st.sampled_from([row["code"] for _, row in ROWS]),
    st.text("AI10.x９0é%", min_size=1, max_size=12),
)


@QUICK
@given(codes=st.lists(CODES, min_size=1, max_size=20), system=st.sampled_from(list(LISTED)))
def test_a_list_is_judged_as_each_of_its_codes_is(
    shipped: World, codes: list[str], system: str
) -> None:
    told = shipped.ask("validate-list", system=system, codes=codes, date="2023-06-01")
    expected = [s27.verdict(LISTED[system], code, "2023-06-01") for code in codes]
    assert [one["verdict"] for one in told["results"]] == expected
    assert told["valid"] == expected.count("valid")
    assert sum(told["verdicts"].values()) == len(codes)
    one = shipped.ask("validate-code", system=system, code=codes[0], date="2023-06-01")
    assert one["verdict"] == expected[0]


@QUICK
@given(
    day=st.dates(date(2024, 11, 1), date(2025, 5, 1)),
    code=st.sampled_from(["A1", "A2", "B1", "B2", "B3", "Z9"]),
)
def test_a_day_chooses_the_version_and_judges_the_code(
    made: World, folder: Path, day: date, code: str
) -> None:
    on = day.isoformat()
    one: dict[str, Any] = s27.chosen(folder, "grp", on)
    told = made.ask("validate-code", system="grp", code=code, date=on)
    assert told["list"]["version"] == one["version"]
    assert told["verdict"] == s27.verdict(one, code, on)
