"""S03's lists for people and the ranges its SQL reckons with say the same, and what they should."""

from __future__ import annotations

import csv
import re
from itertools import pairwise

import pytest
import yaml

from gateway.catalogue.describe import describe
from gateway.catalogue.load import load_catalogue
from gateway.releases.sensitive import is_sensitive
from tests.policy_factory import POLICIES

CATALOGUE = load_catalogue(POLICIES)
SERVICE = CATALOGUE.services["S03"]
FOLDER = POLICIES / "catalogue" / "S03"
VIEWS = (FOLDER / "views.sql").read_text(encoding="utf-8")
DIMS = {dim.name: dim for dim in SERVICE.dims}
SENSITIVE = yaml.safe_load((POLICIES / "data" / "sensitive.yaml").read_text("utf-8"))["sensitive"]


def _list(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"codes_{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _view(name: str) -> list[tuple[str, ...]]:
    text = VIEWS.split(f"VIEW {name} AS")[1].split("AS listed")[0]
    return [tuple(re.findall(r"'([^']*)'", row)) for row in re.findall(r"\(('[^()]*)\)", text)]


def _texts(ranges: list[tuple[str, str]]) -> set[str]:
    return {first if first == last else f"{first}-{last}" for first, last in ranges}


def test_the_list_has_three_hundred_groups_below_the_chapters() -> None:
    groups = _list("dx_group")
    assert len(groups) == len({group["code"] for group in groups}) == 300
    assert {group["parent"] for group in groups} == {f"{n:02d}" for n in range(1, 23)}


def test_groups_have_the_ranges_that_people_read() -> None:
    told = {
        group["code"]: set(group["icd10"].split(", "))
        for group in _list("dx_group")
        if not group["icd10"].startswith("rest")
    }
    found: dict[str, set[str]] = {}
    for first, last, code in _view("dx_range"):
        found.setdefault(code, set()).update(_texts([(first, last)]))
    for prefix, code in _view("dx_split"):
        found.setdefault(code, set()).add(prefix)
    assert found == told


def test_ranges_do_not_overlap() -> None:
    ranges = sorted(_view("dx_range"))
    for before, after in pairwise(ranges):
        assert before[0] <= before[1] < after[0], (before, after)


def test_no_group_is_sensitive_in_part() -> None:
    """What is sensitive is counted as the rest of its chapter: half a group would be told."""
    dim = DIMS["dx_group"]
    for first, last, group in _view("dx_range"):
        letter, low, high = first[0], int(first[1:]), int(last[1:])
        codes = [f"{letter}{number:02d}" for number in range(low, high + 1)]
        told = {is_sensitive(SENSITIVE, dim, code) for code in codes}
        assert told == {is_sensitive(SENSITIVE, dim, group)}, group


def test_what_is_sensitive_has_groups_of_its_own() -> None:
    held = [row[:2] for row in _view("dx_range")]
    for entry in SENSITIVE["dx"]:
        for first, last in entry["ranges"]:
            whole = any(a <= first and last <= b for a, b in held)
            parts = any(first <= a and b <= last for a, b in held)
            assert whole or parts, (entry["id"], first)


def test_the_28_families_have_the_codes_that_people_read() -> None:
    families = {row["code"]: row for row in _list("ci_family")}
    assert list(families) == [f"CI{n:02d}" for n in range(1, 29)]
    for code, row in families.items():
        rule = row["rule"].split(";")[0]
        own = [(a, b) for a, b, family in (*_view("ci_dx"), *_view("ci_operation"))
               if family == code]  # fmt: skip
        filed = {disease for disease, target in _view("registered_for") if target == code}
        pattern = (
            r"(?<![\w.])(?:[A-Z]\d\d(?:\.\d)?|\d\d\.\d+)(?:-(?:[A-Z]\d\d(?:\.\d)?|\d\d\.\d+))?\b"
        )
        told = {text for text in re.findall(pattern, rule) if not re.match(r"M\d{4}", text)}
        assert _spread(told) == _spread(_texts(own)), code
        assert set(re.findall(r"M\d{5}", rule)) == filed, code
        assert (row["claims_identifiable"] == "no") == (not own and not filed), code


def _spread(texts: set[str]) -> set[str]:
    """Ranges as their single codes, so that `35.1, 35.2` and `35.1-35.2` are the same."""
    found = set()
    for text in texts:
        first, _, last = text.partition("-")
        head, number, width = _number(first)
        until = _number(last)[1] if last else number
        found |= {f"{head}{n:0{width}d}" for n in range(number, until + 1)}
    return found


def _number(code: str) -> tuple[str, int, int]:
    head = code[0] if code[0].isalpha() else ""
    digits = code[len(head) :].replace(".", "")
    return f"{head}{len(digits)}:", int(digits), len(digits)


@pytest.mark.parametrize(("word", "place"), [("full", "in full"), ("no", "not at all")])
def test_the_reference_page_says_which_families_claims_identify(word: str, place: str) -> None:
    codes = [row["code"] for row in _list("ci_family") if row["claims_identifiable"] == word]
    told = " ".join(note.en for note in SERVICE.notes)
    listed = re.search(rf"{place}[^:]*: (CI\d\d(?:, CI\d\d)*)", told)
    assert listed is not None
    assert listed[1].split(", ") == codes
    assert all(code in describe(CATALOGUE) for code in codes)


def test_the_contract_tells_how_well_claims_show_a_family() -> None:
    told = {
        one.code: one.more["claims_identifiable"] for one in DIMS["ci_family"].lists["ci_family"]
    }
    assert set(told.values()) == {"full", "proxy", "no"}
    assert (told["CI05"], told["CI01"], told["CI13"]) == ("full", "proxy", "no")
