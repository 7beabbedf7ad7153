"""Worked examples of each mask, its text, and what happens when mask and value do not fit."""

from __future__ import annotations

import csv
import json
import re
from datetime import date

import pytest

from gateway.masking.diagnoses import GROUPS
from gateway.masking.grammar import parse_mask
from gateway.masking.operators import MaskError, Value
from gateway.masking.plan import apply, plan
from tests.policy_factory import POLICIES, catalogue

EXAMPLES: list[tuple[str, Value, Value]] = [
    ("none", "2024Q1", "2024Q1"),
    ("suppress", "2024Q1", None),
    ("const(有)", 17, "有"),
    ("const()", 17, ""),
    ("partial(3,4)", "19900001234", "199****1234"),
    ("partial(3,4)", "1990000", "*******"),
    ("gen_age(5)", 0, "0"),
    ("gen_age(5)", 4, "1-4"),
    ("gen_age(5)", 37, "35-39"),
    ("gen_age(5)", 85, "85+"),
    ("gen_age(10)", 37, "30-39"),
    ("gen_age(10)", "75-79", "70-79"),
    ("gen_age(10)", 80, "80+"),
    ("gen_age(10)", "*", "*"),
    ("gen_date(month)", date(2024, 3, 9), "2024-03"),
    ("gen_date(quarter)", "2024-12-31", "2024Q4"),
    ("gen_date(year)", "2024Q4", "2024"),
    ("gen_date(month)", "2024Q4", "2024Q4"),
    ("gen_age(5,top=90)", 89, "85-89"),
    ("gen_age(5,top=90)", 90, "90+"),
    ("gen_age(5)", "37.5", "35-39"),
    ("gen_proc(2)", "36.0600", "36"),
    ("gen_geo(city)", "0", "0"),
    ("round(10)", "-0.01", "0.00"),
    ("gen_geo(county)", "990101", "990101"),
    ("gen_geo(city)", "990101", "990100"),
    ("gen_geo(prov)", "990101", "990000"),
    ("gen_icd(3)", "i10.x00", "I10"),
    ("gen_icd(group)", "n18.500x002", "N18.5"),
    ("gen_icd(group)", "D68.9", "D65"),
    ("gen_icd(group)", "K72", "K71-K73"),
    ("gen_icd(group)", "K71-K73", "K71-K73"),
    ("gen_icd(group)", "other.21", "other.21"),
    ("gen_icd(group)", "D49", "other"),
    ("gen_icd(chapter)", "I10", "CH09"),
    ("gen_icd(chapter)", "Z21", "CH21"),
    ("gen_icd(chapter)", "D49", "other"),
    ("gen_icd(3)", "other", "other"),
    ("gen_icd(3)", "sensitive_other.05", "sensitive_other.05"),
    ("gen_icd(chapter)", "sensitive_other.05", "sensitive_other.05"),
    ("gen_drug(atc4)", "C08CA01.oral", "C08CA"),
    ("gen_drug(atc3)", "C08CA01", "C08C"),
    ("gen_drug(atc2)", "C08CA", "C08"),
    ("gen_drug(atc1)", "C08CA", "C"),
    ("gen_drug(generic)", "C08CA01.oral", "C08CA01.oral"),
    ("gen_drug(generic)", "ZA01A01.oral", "ZA01A01.oral"),
    ("gen_drug(atc4)", "ZA01A01.oral", "ZA01A"),
    ("gen_drug(atc3)", "ZA01A", "ZA01"),
    ("gen_drug(atc4)", "sensitive_other.N05A", "sensitive_other.N05A"),
    ("band(10,20)", 9, "<10"),
    ("band(10,20)", 10, "10-<20"),
    ("band(10, 20)", "20.00", "20+"),
    ("round(10)", 15, 20),
    ("round(10)", -15, -20),
    ("round(10)", 14.99, 10.0),
    ("round(10)", "14.99", "10.00"),
]


@pytest.mark.parametrize(("text", "value", "shown"), EXAMPLES)
def test_a_mask_shows_the_safer_value(text: str, value: Value, shown: Value) -> None:
    assert parse_mask(text)(value) == shown


UNKNOWN = [
    "",
    "blur",
    "None",
    "none()x",
    "none(1)",
    "suppress(all)",
    "partial(3)",
    "partial(3,4,5)",
    "partial(-1,2)",
    "gen_age(7)",
    "gen_age(5,top=83)",
    "gen_age(10,40)",
    "gen_proc(3)",
    "pseud(T-1)",
    "sha256",
    "dateshift",
    "noise(gauss,1,1,psn_no)",
    "noise(laplace,0,1,psn_no)",
    "gen_age",
    "gen_date(week)",
    "gen_geo(street)",
    "gen_icd(4)",
    "gen_drug(brand)",
    "band()",
    "band(20,10)",
    "band(1,x)",
    "band(NaN)",
    "round(0)",
    "round(1.5)",
    "round(10",
    "pseud(a)",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unknown_mask_is_an_error_never_a_pass(text: str) -> None:
    with pytest.raises(MaskError):
        parse_mask(text)


UNFIT: list[tuple[str, Value]] = [
    ("partial(3,4)", 19900001234),
    ("gen_age(5)", "secret-value"),
    ("gen_age(5)", -1),
    ("gen_age(5)", True),
    ("gen_date(month)", "secret-value"),
    ("gen_date(month)", "2024-13-01"),
    ("gen_date(month)", 20240301),
    ("gen_geo(city)", "secret-value"),
    ("gen_icd(3)", "secret-value"),
    ("gen_drug(atc4)", "secret-value"),
    ("band(1,2)", "secret-value"),
    ("band(1,2)", float("nan")),
    ("round(10)", "secret-value"),
    ("round(10)", float("inf")),
    ("round(10)", date(2024, 3, 9)),
    ("round(10)", True),
]


@pytest.mark.parametrize(("text", "value"), UNFIT)
def test_a_value_that_does_not_fit_is_withheld_and_not_repeated(text: str, value: Value) -> None:
    with pytest.raises(MaskError) as withheld:
        parse_mask(text)(value)
    assert withheld.value.status == 503
    assert "secret-value" not in f"{withheld.value} {withheld.value.__cause__}"


def test_equal_texts_give_equal_operators() -> None:
    assert parse_mask("band(10,20)") == parse_mask("band(10, 20)")
    assert parse_mask("round(10)") != parse_mask("round(5)")


def test_a_column_without_a_mask_is_dropped_and_the_plan_gives_the_order() -> None:
    columns = {"name": ["Invented A"], "age": [37], "county": ["990101"]}
    shown = apply(plan({"county": "gen_geo(city)", "age": "gen_age(10)", "sex": "none"}), columns)
    assert shown == {"county": ["990100"], "age": ["30-39"]}
    assert list(shown) == ["county", "age"]


def test_one_unknown_mask_makes_the_whole_plan_an_error() -> None:
    with pytest.raises(MaskError):
        plan({"age": "gen_age(10)", "name": "blur"})


def test_numbers_that_only_look_alike_are_masked_apart() -> None:
    assert apply(plan({"a": "round(1)"}), {"a": [1, 1.0, "1"]}) == {"a": [1, 1.0, "1"]}
    shown = apply(plan({"a": "round(1)"}), {"a": [1, 1.0]})["a"]
    assert [type(value) for value in shown] == [int, float]


def test_policy_data_accept_exactly_the_masks_there_are() -> None:
    """The schema refuses at load what the grammar would refuse at the first answer."""
    schema = json.loads((POLICIES / "schemas" / "data.json").read_text(encoding="utf-8"))
    pattern = re.compile(schema["$defs"]["mask"]["pattern"])
    assert all(pattern.search(text) for text, _, _ in EXAMPLES)
    loose = {
        "band(20,10)",
        "round(0)",
        "band(NaN)",
        "gen_age(5,top=83)",
        "gen_age(10,40)",
    }  # arguments out of order are found by use
    assert not [text for text in UNKNOWN if text not in loose and pattern.search(text)]


def test_every_mask_of_the_catalogue_exists() -> None:
    masks = {c["mask"] for service in catalogue().values() for c in service["columns"].values()}
    assert masks
    assert all(parse_mask(mask) for mask in masks)


def test_diagnosis_groups_are_those_of_the_catalogue() -> None:
    """S03's list is the source."""
    listed = POLICIES / "catalogue" / "S03" / "codes_dx_group.csv"
    rows = csv.DictReader(listed.read_text(encoding="utf-8-sig").splitlines())
    spans = {row["code"]: row["icd10"] for row in rows if not row["icd10"].startswith("rest")}
    assert json.loads(GROUPS.read_text(encoding="utf-8")) == spans
